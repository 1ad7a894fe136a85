// attach: what it takes a fresh process to reach the bytes of a cached model.
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/strong.h"
#include "benchmarks.h"
#include "fmt/format.h"
#include "json.h"
#include "model_file.h"
#include "os/process.h"
#include "private_daemon.h"
#include "samples.h"
#include "warmset/client.h"

namespace warmset::bench {
namespace {

constexpr const char* kModel = "model.safetensors";

// Runs this program as the child and takes the seconds that it prints.
StatusOr<double> MeasureChild(const std::string& socket, uint64_t step) {
  ::setenv("WARMSET_SOCKET", socket.c_str(), 1);
  const std::string command = fmt::format("'{}warmset-bench' attach-child {} {}",
                                          os::ProgramDirectory(), kModel, step);
  const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  double seconds = 0;
  if (!output || std::fscanf(output.get(), "%lf", &seconds) != 1) {
    return Error(ErrorCode::kInternal, "the attaching process printed no time");
  }
  return seconds;
}

}  // namespace

Status RunAttachChild(const std::string& model, uint64_t step) {
  const auto start = Clock::now();
  auto client = Client::Connect();
  if (!client) return Error(ErrorCode::kDaemonUnavailable, client.error().message);
  const auto attached = client->Attach(model);
  if (!attached) return Error(ErrorCode::kInternal, attached.error().message);
  uint64_t sum = 0;
  for (const Component& component : attached->components()) {
    for (size_t i = 0; i < component.tensor_count(); ++i) {
      const Tensor tensor = component.tensor(i);
      const auto data = tensor.data();
      for (size_t at = 0; at < data.size(); at += step) sum += std::to_integer<uint64_t>(data[at]);
    }
  }
  const double seconds = SecondsSince(start);
  // The sum keeps the reads from being left out.
  fmt::print("{:.9f} {}\n", seconds, sum);
  return OkStatus();
}

Status RunAttach(const AttachOptions& options) {
  ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create(options.folder));
  const std::filesystem::path file = folder.path() / kModel;
  RETURN_IF_ERROR(WriteModel(file, options.mib));
  const auto bytes = std::filesystem::file_size(file);
  ASSIGN_OR_RETURN(auto daemon,
                   PrivateDaemon::Start({"--root=" + folder.path().string(), "--watch=off",
                                         fmt::format("--ram-limit={}", bytes + 256 * kMiB),
                                         "--reserve=0"}));
  v1::Request request;
  request.mutable_cache()->set_model(kModel);
  ASSIGN_OR_RETURN(const v1::Response cached, daemon->Call(std::move(request)));

  Samples by_2_mib, by_4_kib;
  for (unsigned round = 0; round < options.rounds; ++round) {
    ASSIGN_OR_RETURN(const double coarse, MeasureChild(daemon->socket(), 2 * kMiB));
    ASSIGN_OR_RETURN(const double fine, MeasureChild(daemon->socket(), 4 * kKiB));
    by_2_mib.Add(coarse);
    by_4_kib.Add(fine);
  }
  constexpr double kMilliseconds = 1e3;
  Json json;
  json.Add("benchmark", "attach").Add("bytes", bytes).Add("rounds", options.rounds);
  json.Add("huge_page_share", static_cast<double>(cached.cache().huge_page_bytes()) /
                                  static_cast<double>(bytes));
  json.Add("byte_per_2_mib_ms", by_2_mib.Summary(kMilliseconds));
  json.Add("byte_per_4_kib_ms", by_4_kib.Summary(kMilliseconds));
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench
