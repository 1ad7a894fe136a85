// Some tensors of a component, packed into memory of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cache/compressed_entry.h"
#include "cache/entry.h"
#include "cache/reserve.h"
#include "inspect/manifest.h"

namespace warmset {

struct EntryPart {
  struct Piece {
    uint64_t from = 0;  // in the whole entry
    uint64_t to = 0;    // in the part
    uint64_t bytes = 0;
  };
  ComponentManifest component;  // of the part: its size and index; no files
  std::vector<Piece> pieces;    // one for each tensor
};

// What asking for a tensor that is not there gives.
Status NoSuchTensor(std::string_view name);

// The tensors with these names, in the order of the whole entry's index; each begins
// at a multiple of 64 bytes. kTensorNotFound names the first that is not there.
StatusOr<EntryPart> SelectTensors(const ComponentManifest& whole,
                                  std::span<const std::string> names);

// Decodes only the blocks that the part's tensors lie in. `memory` is reserved for
// EntryMemory(part.component). kCorruptedModel when the compressed memory is damaged,
// kIoError. Blocks.
StatusOr<std::unique_ptr<Entry>> DecodePart(const CompressedEntry& compressed,
                                            const EntryPart& part, LoadMemory memory);

}  // namespace warmset
