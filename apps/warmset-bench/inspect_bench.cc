// inspect: long headers, many files, a large checkpoint.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/strong.h"
#include "benchmarks.h"
#include "fmt/format.h"
#include "inspect/inspect.h"
#include "isolate/helper_process.h"
#include "isolate/inspector_pool.h"
#include "json.h"
#include "library_scan.h"
#include "mixed_library.h"
#include "os/file.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/system_memory.h"
#include "private_daemon.h"
#include "samples.h"

namespace warmset::bench {
namespace {

constexpr uint64_t kCheckpointBytes = 7'000'000'000;
// Enough for a field of /proc/self/io.
constexpr size_t kIoBytes = 4096;

struct ChildFigures {
  double seconds = 0;
  double peak_mb = 0;
  double read_mb = 0;
};

// Runs this program as the child, so that nothing else is in its memory, which it
// takes in huge pages as helpers do.
StatusOr<ChildFigures> MeasureChild(const std::filesystem::path& file) {
  const std::string command = fmt::format("{} '{}warmset-bench' inspect-child '{}'",
                                          kHelperTunables, os::ProgramDirectory(), file.string());
  const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  ChildFigures figures;
  if (!output || std::fscanf(output.get(), "%lf %lf %lf", &figures.seconds, &figures.peak_mb,
                             &figures.read_mb) != 3) {
    return Error(ErrorCode::kInternal, "the inspecting process printed no figures");
  }
  return figures;
}

// Bytes that this process has asked for by read() and its kin.
StatusOr<uint64_t> BytesRead() {
  ASSIGN_OR_RETURN(const std::string text, os::ReadSmallFile("/proc/self/io", kIoBytes));
  unsigned long long bytes = 0;
  if (std::sscanf(text.c_str(), "rchar: %llu", &bytes) != 1) {
    return Error(ErrorCode::kInternal, "/proc/self/io has no rchar");
  }
  return bytes;
}

struct FileFigures {
  Samples seconds;
  Samples through_helper;
  double peak_mb = 0;
  double read_mb = 0;
};

StatusOr<FileFigures> MeasureFile(const std::filesystem::path& file, unsigned rounds) {
  FileFigures figures;
  InspectorPool pool;
  ASSIGN_OR_RETURN(const os::UniqueFd fd, os::OpenForRead(file.string()));
  for (unsigned round = 0; round < rounds; ++round) {
    ASSIGN_OR_RETURN(const ChildFigures child, MeasureChild(file));
    figures.seconds.Add(child.seconds);
    figures.peak_mb = std::max(figures.peak_mb, child.peak_mb);
    figures.read_mb = std::max(figures.read_mb, child.read_mb);
    const auto start = Clock::now();
    ASSIGN_OR_RETURN(const Inspected inspected, pool.InspectFile(fd.get(), file.filename()));
    figures.through_helper.Add(SecondsSince(start));
    if (inspected.manifest.verdict() != Verdict::kOk) {
      return Error(ErrorCode::kInternal, inspected.manifest.findings.front().message);
    }
  }
  return figures;
}

Json Summary(const FileFigures& figures) {
  Json json;
  json.Add("seconds", figures.seconds.Summary());
  json.Add("through_helper_s", figures.through_helper.Summary());
  json.Add("peak_rss_mb", figures.peak_mb).Add("read_mb", figures.read_mb);
  return json;
}

}  // namespace

Status RunInspectChild(const std::string& file) {
  ASSIGN_OR_RETURN(const os::UniqueFd fd, os::OpenForRead(file));
  ASSIGN_OR_RETURN(const uint64_t read_before, BytesRead());
  const auto start = Clock::now();
  ASSIGN_OR_RETURN(const std::string manifest, InspectFile(fd.get(), "model.safetensors"));
  const double seconds = SecondsSince(start);
  ASSIGN_OR_RETURN(const uint64_t read_after, BytesRead());
  fmt::print("{} {} {}\n", seconds,
             static_cast<double>(os::PeakMemory::Open().bytes().value()) * 1e-6,
             static_cast<double>(read_after - read_before) * 1e-6);
  return OkStatus();
}

Status RunInspect(const InspectOptions& options) {
  ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create(options.folder));
  const std::filesystem::path header = folder.path() / "header.safetensors";
  RETURN_IF_ERROR(WriteLongHeader(header, options.tensors));
  ASSIGN_OR_RETURN(const FileFigures long_header, MeasureFile(header, options.rounds));
  std::filesystem::remove(header);

  const std::filesystem::path checkpoint = folder.path() / "checkpoint.safetensors";
  RETURN_IF_ERROR(WriteSparseCheckpoint(checkpoint, kCheckpointBytes));
  ASSIGN_OR_RETURN(const FileFigures large_file, MeasureFile(checkpoint, options.rounds));
  std::filesystem::remove(checkpoint);

  const std::filesystem::path library = folder.path() / "library";
  RETURN_IF_ERROR(WriteMixedLibrary(library, options.files, options.folders));
  ASSIGN_OR_RETURN(const ScanFigures scan, MeasureScans(library, options.rounds));
  if (scan.models != options.files) {
    return Error(ErrorCode::kInternal,
                 fmt::format("{} of {} files became models", scan.models, options.files));
  }

  Json json;
  json.Add("benchmark", "inspect").Add("tensors", options.tensors).Add("files", options.files);
  json.Add("rounds", options.rounds).Add("cold", scan.cold);
  json.Add("long_header", Summary(long_header)).Add("checkpoint_7gb", Summary(large_file));
  json.Add("first_scan_s", scan.first.Summary()).Add("unchanged_scan_s", scan.again.Summary());
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench
