// The subcommands. Each prints one JSON document and returns an error where it
// could not measure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace warmset::bench {

// A cold file to a published entry, beside fio on the same file.
struct LoadOptions {
  std::string folder = "/var/tmp";  // of the file; its disk is what is measured
  uint64_t mib = 1024;
  unsigned rounds = 10;
  bool reserve = true;  // touched memory is there before each load
};
Status RunLoad(const LoadOptions& options);

// A fresh process: from connect to a byte of each page of a cached model.
struct AttachOptions {
  std::string folder = "/var/tmp";
  uint64_t mib = 4096;
  unsigned rounds = 50;
};
Status RunAttach(const AttachOptions& options);
// That process: prints the seconds.
Status RunAttachChild(const std::string& model, uint64_t step);

// Round trips of state requests.
struct RpcOptions {
  unsigned rounds = 2000;
};
Status RunRpc(const RpcOptions& options);

// A library of small files, seen for the first time and again.
struct ScanOptions {
  std::string folder = "/var/tmp";
  unsigned files = 20'000;
  unsigned folders = 500;
  unsigned rounds = 5;
};
Status RunScan(const ScanOptions& options);

// Access to cached models, raw and compressed, and many models in little RAM.
struct CacheOptions {
  std::string folder = "/var/tmp";
  unsigned models = 40;
  uint64_t mib = 476;  // of each: 500 MB
  std::string ram_limit = "8GiB";
  unsigned requests = 200;  // for each strategy and skew, a fifth of them uncounted
  std::vector<double> skews = {0.6, 0.8, 1.0, 1.2, 1.4};
  unsigned rounds = 50;  // of single accesses
};
Status RunCache(const CacheOptions& options);

// What inspecting costs: a long header, a large checkpoint, and a library of small
// files of every format that the daemon's helpers read.
struct InspectOptions {
  std::string folder = "/var/tmp";
  unsigned tensors = 1'000'000;
  unsigned files = 20'000;
  unsigned folders = 500;
  unsigned rounds = 5;
};
Status RunInspect(const InspectOptions& options);
// What models are, from headers that were read already; the first one reads the atlas.
struct IdentifyOptions {
  unsigned headers = 10'000;
  unsigned tensors = 500;  // of each
  unsigned threads = 2;
  unsigned rounds = 5;
};
Status RunIdentify(const IdentifyOptions& options);
// What each case of a file is, by a table that may lack rows: identify_cases.cc says how
// cases are written. One JSON object a case.
struct IdentifyCasesOptions {
  std::string file;
};
Status RunIdentifyCases(const IdentifyCasesOptions& options);
// One file in a process of its own: prints seconds, peak MB and MB read.
Status RunInspectChild(const std::string& file);

}  // namespace warmset::bench
