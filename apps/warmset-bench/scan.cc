// scan: a library of small files, seen for the first time and again.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/strong.h"
#include "benchmarks.h"
#include "fmt/format.h"
#include "json.h"
#include "library_scan.h"
#include "model_file.h"
#include "private_daemon.h"
#include "samples.h"

namespace warmset::bench {
namespace {

Status WriteLibrary(const std::filesystem::path& root, const ScanOptions& options) {
  for (unsigned i = 0; i < options.files; ++i) {
    const auto folder = root / fmt::format("publisher-{:03}", i % options.folders);
    std::filesystem::create_directories(folder);
    RETURN_IF_ERROR(
        WriteModel(folder / fmt::format("adapter-{:05}.safetensors", i), 8, 128, /*seed=*/i));
  }
  return OkStatus();
}

// Whether the page cache, dentries and inodes could be dropped; only root may.
bool DropCaches() {
  std::ofstream control("/proc/sys/vm/drop_caches");
  control << "3" << std::flush;
  return control.good();
}

StatusOr<v1::ScanReply> ScanOnce(PrivateDaemon& daemon, const std::filesystem::path& root) {
  v1::Request request;
  request.mutable_scan()->add_paths(root.string());
  ASSIGN_OR_RETURN(v1::Response response, daemon.Call(std::move(request)));
  return std::move(*response.mutable_scan());
}

}  // namespace

StatusOr<ScanFigures> MeasureScans(const std::filesystem::path& library, unsigned rounds) {
  ASSIGN_OR_RETURN(const TemporaryFolder empty, TemporaryFolder::Create("/tmp"));
  ScanFigures figures;
  for (unsigned round = 0; round < rounds; ++round) {
    // A catalog that knows nothing yet.
    ASSIGN_OR_RETURN(auto daemon,
                     PrivateDaemon::Start({"--root=" + empty.path().string(),
                                           "--ram-limit=256MiB", "--reserve=0"}));
    figures.cold = DropCaches() && figures.cold;
    auto start = Clock::now();
    ASSIGN_OR_RETURN(const v1::ScanReply reply, ScanOnce(*daemon, library));
    figures.first.Add(SecondsSince(start));
    figures.models = reply.models();
    start = Clock::now();
    ASSIGN_OR_RETURN(const v1::ScanReply unchanged, ScanOnce(*daemon, library));
    figures.again.Add(SecondsSince(start));
    if (unchanged.headers_read() != 0) {
      return Error(ErrorCode::kInternal, "a scan without a change read headers");
    }
    ASSIGN_OR_RETURN(const v1::DaemonStatus status, daemon->DaemonStatus());
    figures.anonymous_bytes = std::max(figures.anonymous_bytes, status.resident_anonymous_bytes());
  }
  return figures;
}

Status RunScan(const ScanOptions& options) {
  ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create(options.folder));
  const std::filesystem::path library = folder.path() / "library";
  RETURN_IF_ERROR(WriteLibrary(library, options));
  ASSIGN_OR_RETURN(const ScanFigures figures, MeasureScans(library, options.rounds));
  Json json;
  json.Add("benchmark", "scan").Add("files", options.files).Add("folders", options.folders);
  json.Add("models", figures.models).Add("rounds", options.rounds).Add("cold", figures.cold);
  json.Add("first_scan_s", figures.first.Summary());
  json.Add("unchanged_scan_s", figures.again.Summary());
  const double files = options.files;
  json.Add("first_scan_ms_per_file", figures.first.Median() * 1e3 / files);
  json.Add("daemon_rss_anon_mb", static_cast<double>(figures.anonymous_bytes) * 1e-6);
  json.Add("daemon_rss_anon_bytes_per_file", static_cast<double>(figures.anonymous_bytes) / files);
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench
