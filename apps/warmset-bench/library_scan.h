// A library that is scanned for the first time and again.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/status.h"
#include "samples.h"

namespace warmset::bench {

struct ScanFigures {
  Samples first;  // seconds
  Samples again;  // nothing has changed
  bool cold = true;  // the page cache could be dropped before each first scan
  uint64_t models = 0;
  uint64_t anonymous_bytes = 0;  // of the daemon, at most
};

// Each round has a daemon of its own, which knows nothing yet.
StatusOr<ScanFigures> MeasureScans(const std::filesystem::path& library, unsigned rounds);

}  // namespace warmset::bench
