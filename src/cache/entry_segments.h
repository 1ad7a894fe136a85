// How an entry is divided for compression.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "inspect/manifest.h"
#include "tensor/dtype.h"

namespace warmset {

// Bytes of an entry that are compressed together.
struct EntrySegment {
  uint64_t begin = 0;
  uint64_t bytes = 0;
  DType dtype = DType::kInvalid;  // of all of them; kInvalid: of no tensor
};

// No segment is larger.
inline constexpr uint64_t kMaxSegmentBytes = 4 * 1024 * 1024;

// The whole entry, in order. Tensors of one dtype that follow one another share
// segments. kCorruptedModel for an index that does not fit.
StatusOr<std::vector<EntrySegment>> DivideEntry(const ComponentManifest& component);

}  // namespace warmset
