// Choosing how ranks are divided into layers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "codec/layered/kernels.h"

namespace warmset::codec {

// Widths of the layers, the unused ones zero.
struct Shape {
  std::array<uint8_t, 6> widths{};
};

// How often each rank occurred, ranks from kTableEntries on not counted.
struct RankCounts {
  std::array<uint64_t, kTableEntries> of_rank{};
  uint64_t total = 0;
};

struct ShapeChoice {
  Shape shape;
  uint64_t bits = 0;   // that all elements' symbols take
  uint64_t score = 0;  // the same and the cost of decoding, in bits
};

// The shape with the least score. Integer arithmetic, so the same everywhere.
ShapeChoice ChooseShape(const RankCounts& counts);

// How often each symbol occurs in a sample.
using Histogram = std::array<uint32_t, 256>;

// The symbols that have a rank, by rank.
struct RankTable {
  std::array<uint8_t, kTableEntries> symbols{};
  size_t used = 0;  // less than all of them in a small alphabet; the rest is 0
};

// Symbols by falling frequency, then those that did not occur, nearest to the
// most frequent one first. REQUIRES: alphabet <= 256.
RankTable MostFrequent(const Histogram& histogram, size_t alphabet);

// Adds what a table makes of its sample.
void CountRanks(const Histogram& histogram, const RankTable& table, RankCounts& counts);

// The rank of each symbol; max_rank for those that have none below it.
std::array<uint8_t, 256> InverseOf(const RankTable& table, unsigned max_rank);

}  // namespace warmset::codec
