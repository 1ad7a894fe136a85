// One block of a layered stream: header, then sections. Defined in
// docs/formats/layered-bit-planes.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "codec/layered/arrangement.h"
#include "codec/layered/kernels.h"
#include "tensor/dtype.h"

namespace warmset::codec {

inline constexpr size_t kMaxLayers = 8;

enum class BlockMode : uint8_t {
  kRaw = 0,       // the elements follow as they are
  kConstant = 1,  // every element equals `constant`
  kLayered = 2,
};

struct BlockHeader {
  BlockMode mode = BlockMode::kRaw;
  Arrangement arrangement = Arrangement::kBF16;
  uint8_t zero_point = 0;
  uint8_t layer_count = 0;
  std::array<uint8_t, kMaxLayers> widths{};
  // Elements that escape from each layer; those of the last one are verbatim.
  std::array<uint32_t, kMaxLayers> escapes{};
  uint32_t low_bits = 0;  // entries of that section
  uint64_t constant = 0;  // little-endian, the high bytes zero
  uint64_t zero = 0;
};
static_assert(sizeof(BlockHeader) == 64);

// Where the sections of a kLayered block begin. Each begins at a multiple of 8.
struct BlockSections {
  size_t rank_tables = 0;
  size_t bytes = 0;
  size_t planes = 0;
  std::array<size_t, kMaxLayers> layers{};
  size_t verbatim = 0;
  size_t low_bits = 0;
  size_t end = 0;
};

constexpr size_t GroupsFor(size_t elements) {
  return (elements + kGroupElements - 1) / kGroupElements;
}

// Words that hold a layer's elements.
constexpr size_t WordsFor(size_t elements) { return GroupsFor(elements); }

// The rank of an element that escapes from every layer.
unsigned MaxRank(const BlockHeader& header);

// REQUIRES: a header that encode wrote or CheckBlockHeader accepted.
BlockSections SectionsOf(const BlockHeader& header, size_t groups);

// Whether arrangement divides elements of that dtype.
bool Arranges(Arrangement arrangement, DType dtype);

// The header of a block of `groups` groups. Afterwards its numbers are in range,
// its sections lie inside the block, and tables, verbatim symbols and low bits
// have no bits that their arrangement lacks. kCorruptedModel otherwise.
StatusOr<BlockHeader> ParseBlock(std::span<const std::byte> block, DType dtype, size_t groups);

}  // namespace warmset::codec
