#include "codec/layered/shape.h"

#include <algorithm>

namespace warmset::codec {
namespace {

// All have ranks up to kMaxRank at most. Late layers have few elements, so they
// cost little and keep symbols from being verbatim.
constexpr std::array<Shape, 14> kShapes = {{
    {{4}},
    {{3, 3, 1}},
    {{3, 2, 2, 1, 1}},
    {{2, 3, 2, 1, 1}},
    {{2, 2, 3}},
    {{2, 2, 3, 1, 1}},
    {{2, 2, 2, 2}},
    {{2, 2, 2, 2, 2}},
    {{1, 3, 3}},
    {{1, 2, 3, 2}},
    {{1, 2, 2, 2, 2}},
    {{1, 1, 2, 2, 2}},
    {{1, 1, 2, 3, 2}},
    {{1, 1, 1, 2, 2, 2}},
}};

// What it costs to decode a layer, as bits of every 1024 elements of it.
constexpr uint64_t kBitsPer1024Elements = 64;

// What a verbatim symbol costs: a branch that is hard to predict.
constexpr uint64_t kBitsPerVerbatim = 96;

}  // namespace

ShapeChoice ChooseShape(const RankCounts& counts) {
  ShapeChoice best;
  best.score = ~uint64_t{0};
  for (const Shape& shape : kShapes) {
    uint64_t bits = 0;
    uint64_t layer_elements = 0;
    uint64_t left = counts.total;
    size_t rank = 0;
    for (const unsigned width : shape.widths) {
      if (width == 0) break;
      bits += left * width;
      layer_elements += left;
      for (unsigned i = 0; i + 1 < (1U << width); ++i) left -= counts.of_rank[rank++];
    }
    bits += left * 8;
    const uint64_t score =
        bits + layer_elements * kBitsPer1024Elements / 1024 + left * kBitsPerVerbatim;
    if (score < best.score) best = {shape, bits, score};
  }
  return best;
}

RankTable MostFrequent(const Histogram& histogram, size_t alphabet) {
  RankTable table;
  std::array<uint8_t, 256> seen{};
  size_t seen_count = 0;
  for (size_t symbol = 0; symbol < alphabet; ++symbol) {
    if (histogram[symbol] != 0) seen[seen_count++] = static_cast<uint8_t>(symbol);
  }
  const auto more_frequent = [&](uint8_t a, uint8_t b) {
    return histogram[a] != histogram[b] ? histogram[a] > histogram[b] : a > b;
  };
  table.used = std::min(seen_count, kTableEntries);
  const auto ranked = seen.begin() + static_cast<ptrdiff_t>(table.used);
  std::partial_sort(seen.begin(), ranked, seen.begin() + static_cast<ptrdiff_t>(seen_count),
                    more_frequent);
  std::copy(seen.begin(), ranked, table.symbols.begin());

  // The sample may have missed rare symbols. Most are small exponents.
  const auto add_unseen = [&](size_t symbol) {
    if (histogram[symbol] == 0 && table.used < kTableEntries) {
      table.symbols[table.used++] = static_cast<uint8_t>(symbol);
    }
  };
  const size_t mode = table.symbols[0];
  for (size_t symbol = mode; symbol-- > 0;) add_unseen(symbol);
  for (size_t symbol = mode + 1; symbol < alphabet; ++symbol) add_unseen(symbol);
  return table;
}

void CountRanks(const Histogram& histogram, const RankTable& table, RankCounts& counts) {
  for (size_t rank = 0; rank < table.used; ++rank) {
    counts.of_rank[rank] += histogram[table.symbols[rank]];
  }
  for (const uint32_t count : histogram) counts.total += count;
}

std::array<uint8_t, 256> InverseOf(const RankTable& table, unsigned max_rank) {
  std::array<uint8_t, 256> rank_of;
  rank_of.fill(static_cast<uint8_t>(max_rank));
  for (size_t rank = 0; rank < std::min<size_t>(table.used, max_rank); ++rank) {
    rank_of[table.symbols[rank]] = static_cast<uint8_t>(rank);
  }
  return rank_of;
}

}  // namespace warmset::codec
