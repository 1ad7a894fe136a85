#include "codec/layered/choose_arrangement.h"

#include <algorithm>
#include <cstring>

#include "codec/layered/shape.h"

namespace warmset::codec {
namespace {

// Whether excess(element) is zero for all elements. Looks at blocks of them, so
// that the compiler can use vectors and most data is told apart at once.
template <typename Element, typename Excess>
bool NoneHas(std::span<const std::byte> elements, Excess excess) {
  constexpr size_t kAtOnce = 512;
  const size_t count = elements.size() / sizeof(Element);
  for (size_t begin = 0; begin < count; begin += kAtOnce) {
    Element loaded[kAtOnce] = {};
    const size_t loaded_count = std::min(kAtOnce, count - begin);
    std::memcpy(loaded, elements.data() + begin * sizeof(Element), loaded_count * sizeof(Element));
    Element found = 0;
    for (const Element element : loaded) found |= excess(element);
    if (found != 0) return false;
  }
  return true;
}

bool LowHalvesAreZero(std::span<const std::byte> elements) {
  return NoneHas<uint32_t>(elements, [](uint32_t element) { return element & 0xffffU; });
}

// BF16's mantissa is three bits shorter, but its small numbers become F16's
// subnormal ones, which have any bits.
bool MantissasAreShort(std::span<const std::byte> elements) {
  return NoneHas<uint16_t>(elements, [](uint16_t element) {
    const bool is_normal = (element & 0x7c00U) != 0;
    return static_cast<uint16_t>(is_normal ? element & 7U : 0U);
  });
}

// A thirteenth of the elements: no power of two, which rows may be.
Histogram SampleBytes(std::span<const std::byte> elements) {
  Histogram histogram{};
  for (size_t i = 0; i < elements.size(); i += 13) {
    ++histogram[std::to_integer<uint8_t>(elements[i])];
  }
  return histogram;
}

// The median, in the order of the dtype.
uint8_t ZeroPointOf(DType dtype, const Histogram& histogram) {
  const unsigned first = dtype == DType::kI8 ? 0x80 : 0;
  uint64_t total = 0;
  for (const uint32_t count : histogram) total += count;
  uint64_t below = 0;
  for (unsigned i = 0; i < 256; ++i) {
    below += histogram[(first + i) % 256];
    if (2 * below >= total) return static_cast<uint8_t>(first + i);
  }
  return 0;
}

ArrangementChoice ChooseIntegers(DType dtype, std::span<const std::byte> elements) {
  const Histogram bytes = SampleBytes(elements);
  ArrangementChoice best;
  best.zero_point = ZeroPointOf(dtype, bytes);
  uint64_t best_score = ~uint64_t{0};
  for (const Arrangement arrangement : {Arrangement::kInteger4, Arrangement::kInteger3,
                                        Arrangement::kInteger2, Arrangement::kInteger1}) {
    Histogram symbols{};
    for (unsigned byte = 0; byte < 256; ++byte) {
      const auto difference = static_cast<uint8_t>(byte - best.zero_point);
      const unsigned magnitude = difference < 0x80 ? difference : 0xffU - difference;
      symbols[magnitude >> IntegerLowBits(arrangement)] += bytes[byte];
    }
    RankCounts counts;
    CountRanks(symbols, MostFrequent(symbols, size_t{1} << LayoutOf(arrangement).symbol_bits),
               counts);
    const uint64_t score =
        ChooseShape(counts).score + counts.total * LayoutOf(arrangement).group_planes;
    if (score < best_score) {
      best.arrangement = arrangement;
      best_score = score;
    }
  }
  return best;
}

}  // namespace

ArrangementChoice ChooseArrangement(DType dtype, std::span<const std::byte> elements) {
  switch (dtype) {
    case DType::kF32:
      return {LowHalvesAreZero(elements) ? Arrangement::kF32HighHalf : Arrangement::kF32};
    case DType::kF16:
      return {MantissasAreShort(elements) ? Arrangement::kF16ShortMantissa : Arrangement::kF16};
    case DType::kF8E4M3:
    case DType::kF8E4M3FNUZ:
      return {Arrangement::kF8E4M3};
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
      return {Arrangement::kF8E5M2};
    case DType::kI8:
    case DType::kU8:
      return ChooseIntegers(dtype, elements);
    default:
      return {Arrangement::kBF16};
  }
}

}  // namespace warmset::codec
