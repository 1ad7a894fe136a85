// load: a cold file to a published entry, and beside it what fio reads.
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/strong.h"
#include "benchmarks.h"
#include "fmt/format.h"
#include "json.h"
#include "model_file.h"
#include "private_daemon.h"
#include "samples.h"

namespace warmset::bench {
namespace {

// What the loader uses (src/os/bulk_reader.cc, src/cache/entry_loader.cc).
constexpr unsigned kBlockMib = 1;
constexpr unsigned kDepth = 8;
constexpr const char* kModel = "model.safetensors";

// Bytes per second that fio reads sequentially; nothing where it can't run so.
std::optional<double> RunFio(const std::filesystem::path& file, const std::string& iomem) {
  const std::string command = fmt::format(
      "fio --name=read --filename='{}' --readonly --rw=read --direct=1 --ioengine=io_uring "
      "--bs={}M --iodepth={} --iomem={} --output-format=terse --terse-version=3 2>/dev/null",
      file.string(), kBlockMib, kDepth, iomem);
  const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  if (!output) return std::nullopt;
  std::array<char, 8192> line{};
  std::optional<double> bytes_per_second;
  while (std::fgets(line.data(), line.size(), output.get()) != nullptr) {
    // Terse version 3: field 5 is fio's error, field 7 the bandwidth in KiB/s.
    int error = 0;
    double kib = 0;
    if (std::sscanf(line.data(), "3;%*[^;];%*[^;];%*[^;];%d;%*[^;];%lf;", &error, &kib) == 2 &&
        error == 0 && kib > 0) {
      bytes_per_second = kib * 1024;
    }
  }
  return bytes_per_second;
}

v1::Request CacheRequest() {
  v1::Request request;
  request.mutable_cache()->set_model(kModel);
  return request;
}

v1::Request UncacheRequest() {
  v1::Request request;
  request.mutable_uncache()->set_model(kModel);
  return request;
}

}  // namespace

Status RunLoad(const LoadOptions& options) {
  ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create(options.folder));
  const std::filesystem::path file = folder.path() / kModel;
  RETURN_IF_ERROR(WriteModel(file, options.mib));
  const auto bytes = std::filesystem::file_size(file);

  // The reserve's largest piece, half of it, must hold the whole entry. Beside it
  // there is the entry, and room for what is rounded.
  const uint64_t reserve = options.reserve ? 2 * (AlignUp(bytes, 2 * kMiB) + 4 * kMiB) : 0;
  ASSIGN_OR_RETURN(auto daemon,
                   PrivateDaemon::Start({"--root=" + folder.path().string(), "--watch=off",
                                         fmt::format("--ram-limit={}", 3 * bytes + 256 * kMiB),
                                         fmt::format("--reserve={}", reserve)}));
  const std::string iomem = RunFio(file, "mmaphuge") ? "mmaphuge" : "malloc";

  Samples fio, load, first_load, ratio, cpu;
  uint64_t huge = 0;
  for (unsigned round = 0; round <= options.rounds; ++round) {
    RETURN_IF_ERROR(DropFromPageCache(file));
    const auto fio_speed = RunFio(file, iomem);
    if (!fio_speed) return Error(ErrorCode::kIoError, "fio could not read; is it installed?");
    RETURN_IF_ERROR(DropFromPageCache(file));
    RETURN_IF_ERROR(daemon->WaitFor([&](const v1::DaemonStatus& status) {
      return status.memory().reserve() + 4 * kMiB >= reserve;
    }));
    ASSIGN_OR_RETURN(const double cpu_before, daemon->CpuSeconds());
    const auto start = Clock::now();
    ASSIGN_OR_RETURN(const v1::Response response, daemon->Call(CacheRequest()));
    const double seconds = SecondsSince(start);
    ASSIGN_OR_RETURN(const double cpu_after, daemon->CpuSeconds());
    const double speed = static_cast<double>(bytes) / seconds;
    huge = response.cache().huge_page_bytes();
    // The first load has no digests to compare with and records them.
    if (round == 0) {
      first_load.Add(speed);
    } else {
      fio.Add(*fio_speed);
      load.Add(speed);
      ratio.Add(speed / *fio_speed);
      cpu.Add((cpu_after - cpu_before) * static_cast<double>(kGiB) / static_cast<double>(bytes));
    }
    ASSIGN_OR_RETURN(const v1::Response dropped, daemon->Call(UncacheRequest()));
  }

  constexpr double kPerGib = 1.0 / static_cast<double>(kGiB);
  Json json;
  json.Add("benchmark", "load").Add("bytes", bytes).Add("rounds", options.rounds);
  json.Add("block_mib", kBlockMib).Add("depth", kDepth).Add("reserve_bytes", reserve);
  json.Add("fio_iomem", iomem).Add("fio_gib_per_s", fio.Summary(kPerGib));
  json.Add("load_gib_per_s", load.Summary(kPerGib));
  json.Add("first_load_gib_per_s", first_load.Median() * kPerGib);
  json.Add("load_to_fio", ratio.Summary()).Add("cpu_s_per_gib", cpu.Summary());
  json.Add("huge_page_share", static_cast<double>(huge) / static_cast<double>(bytes));
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench
