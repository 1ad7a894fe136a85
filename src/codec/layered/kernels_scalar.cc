// The reference: one element at a time, as docs/formats/layered-bit-planes.md
// tells it. The other implementations are tested against this one.
#include <cstring>

#include "codec/layered/dispatch.h"
#include "codec/layered/kernels.h"

namespace warmset::codec {
namespace {

void Checksum(const uint8_t* data, size_t bytes, ChecksumState& state) {
  ChecksumState sums = state;
  for (size_t offset = 0; offset < bytes; offset += 8 * kChecksumLanes) {
    uint64_t words[kChecksumLanes];
    std::memcpy(words, data + offset, sizeof words);
    for (size_t lane = 0; lane < kChecksumLanes; ++lane) {
      sums.sum[lane] += words[lane];
      sums.sum_of_sums[lane] += sums.sum[lane];
    }
  }
  state = sums;
}

constexpr size_t kMaxPlanes = 5;

unsigned BitOf(uint64_t plane, size_t position) {
  return static_cast<unsigned>(plane >> position & 1);
}

// Planes as they lie in memory.
void StorePlanes(const uint64_t* planes, size_t count, uint8_t* to) {
  std::memcpy(to, planes, count * sizeof *planes);
}
void LoadPlanes(const uint8_t* from, size_t count, uint64_t* planes) {
  std::memcpy(planes, from, count * sizeof *planes);
}

// The element of a group that is at `position` of its sections: the order in
// which 512-bit unpack instructions put a group together. With c elements in
// each 16 bytes, position 16 l + j holds element (j / c) 4c + l c + j % c.
constexpr size_t ElementAt(size_t position, size_t element_bytes) {
  const size_t per_lane = 16 / element_bytes;
  const size_t lane = position / 16;
  const size_t j = position % 16;
  return j / per_lane * 4 * per_lane + lane * per_lane + j % per_lane;
}

// Where the byte section has the low half of the F32 at a position: 512-bit
// packs put the halves of 16 positions' first and last eight 64 bytes apart.
constexpr size_t LowHalfAt(size_t position) {
  const size_t lane = position / 16;
  const size_t j = position % 16;
  return 64 + j / 8 * 64 + lane * 16 + j % 8 * 2;
}

template <Arrangement A>
uint32_t LoadElement(const uint8_t* elements, size_t position) {
  constexpr size_t kBytes = LayoutOf(A).element_bytes;
  uint32_t element = 0;
  std::memcpy(&element, elements + ElementAt(position, kBytes) * kBytes, kBytes);
  return element;
}

template <Arrangement A>
void StoreElement(uint8_t* elements, size_t position, uint32_t element) {
  constexpr size_t kBytes = LayoutOf(A).element_bytes;
  std::memcpy(elements + ElementAt(position, kBytes) * kBytes, &element, kBytes);
}

// Stores the bits of `element` outside of its symbol, and returns the symbol.
template <Arrangement A>
unsigned SplitElement(uint32_t element, size_t p, uint8_t zero_point, uint8_t* bytes,
                      uint64_t* planes) {
  if constexpr (A == Arrangement::kBF16) {
    bytes[p] = static_cast<uint8_t>((element & 0x7f) << 1 | element >> 15);
    return (element >> 7) & 0xff;
  } else if constexpr (A == Arrangement::kF32 || A == Arrangement::kF32HighHalf) {
    if constexpr (A == Arrangement::kF32) std::memcpy(bytes + LowHalfAt(p), &element, 2);
    return SplitElement<Arrangement::kBF16>(element >> 16, p, zero_point, bytes, planes);
  } else if constexpr (A == Arrangement::kF16) {
    bytes[p] = static_cast<uint8_t>(element);
    planes[0] |= uint64_t{element >> 15} << p;
    planes[1] |= uint64_t{(element >> 9) & 1} << p;
    planes[2] |= uint64_t{(element >> 8) & 1} << p;
    return (element >> 10) & 0x1f;
  } else if constexpr (A == Arrangement::kF16ShortMantissa) {
    bytes[p] = static_cast<uint8_t>(((element >> 3) & 0x7f) << 1 | element >> 15);
    return (element >> 10) & 0x1f;
  } else if constexpr (A == Arrangement::kF8E4M3) {
    const unsigned nibble = (element & 7) | (element >> 4 & 8);
    uint8_t& pair = bytes[p / 2];
    pair = static_cast<uint8_t>(p % 2 == 0 ? nibble : pair | nibble << 4);
    return (element >> 3) & 0xf;
  } else if constexpr (A == Arrangement::kF8E5M2) {
    planes[0] |= uint64_t{element >> 7} << p;
    planes[1] |= uint64_t{(element >> 1) & 1} << p;
    planes[2] |= uint64_t{element & 1} << p;
    return (element >> 2) & 0x1f;
  } else {
    constexpr unsigned kLowBits = IntegerLowBits(A);
    const auto difference = static_cast<uint8_t>(element - zero_point);
    const unsigned sign = difference >> 7;
    const unsigned magnitude = sign != 0 ? 0xffU - difference : difference;
    for (unsigned j = 0; j < kLowBits; ++j) {
      planes[j] |= uint64_t{(magnitude >> j) & 1} << p;
    }
    planes[kLowBits] |= uint64_t{sign} << p;
    return magnitude >> kLowBits;
  }
}

template <Arrangement A>
uint32_t JoinElement(unsigned symbol, size_t p, uint8_t zero_point, const uint8_t* bytes,
                     const uint64_t* planes) {
  if constexpr (A == Arrangement::kBF16) {
    const uint32_t byte = bytes[p];
    return (byte & 1) << 15 | symbol << 7 | byte >> 1;
  } else if constexpr (A == Arrangement::kF32 || A == Arrangement::kF32HighHalf) {
    uint16_t low = 0;
    if constexpr (A == Arrangement::kF32) std::memcpy(&low, bytes + LowHalfAt(p), 2);
    return JoinElement<Arrangement::kBF16>(symbol, p, zero_point, bytes, planes) << 16 | low;
  } else if constexpr (A == Arrangement::kF16) {
    return BitOf(planes[0], p) << 15 | symbol << 10 | BitOf(planes[1], p) << 9 |
           BitOf(planes[2], p) << 8 | bytes[p];
  } else if constexpr (A == Arrangement::kF16ShortMantissa) {
    const uint32_t byte = bytes[p];
    return (byte & 1) << 15 | symbol << 10 | byte >> 1 << 3;
  } else if constexpr (A == Arrangement::kF8E4M3) {
    const unsigned nibble = (bytes[p / 2] >> (p % 2 * 4)) & 0xf;
    return (nibble & 8) << 4 | symbol << 3 | (nibble & 7);
  } else if constexpr (A == Arrangement::kF8E5M2) {
    return BitOf(planes[0], p) << 7 | symbol << 2 | BitOf(planes[1], p) << 1 | BitOf(planes[2], p);
  } else {
    constexpr unsigned kLowBits = IntegerLowBits(A);
    unsigned magnitude = symbol << kLowBits;
    for (unsigned j = 0; j < kLowBits; ++j) magnitude |= BitOf(planes[j], p) << j;
    const bool negative = BitOf(planes[kLowBits], p) != 0;
    return static_cast<uint8_t>((negative ? 0xffU - magnitude : magnitude) + zero_point);
  }
}

template <Arrangement A>
size_t Split(const SplitArguments& a) {
  constexpr ArrangementLayout kLayout = LayoutOf(A);
  size_t low_bits = 0;
  for (size_t group = 0; group < a.groups; ++group) {
    const uint8_t* elements = a.elements + group * kGroupElements * kLayout.element_bytes;
    uint8_t* const bytes = a.bytes + group * kLayout.group_bytes;
    uint64_t planes[kMaxPlanes] = {};
    for (size_t p = 0; p < kGroupElements; ++p) {
      const uint32_t element = LoadElement<A>(elements, p);
      const unsigned symbol = SplitElement<A>(element, p, a.zero_point, bytes, planes);
      a.symbols[group * kGroupElements + p] = static_cast<uint8_t>(symbol);
      if constexpr (A == Arrangement::kF16ShortMantissa) {
        if (symbol == 0) a.low_bits[low_bits++] = element & 7;
      }
    }
    StorePlanes(planes, kLayout.group_planes, a.planes + group * kLayout.group_planes * 8);
  }
  return low_bits;
}

size_t Rank(uint8_t* symbols, size_t groups, const uint8_t* rank_of, uint8_t max_rank,
            uint8_t* verbatim) {
  size_t count = 0;
  for (size_t i = 0; i < groups * kGroupElements; ++i) {
    const uint8_t symbol = symbols[i];
    symbols[i] = rank_of[symbol];
    if (symbols[i] == max_rank) verbatim[count++] = symbol;
  }
  return count;
}

size_t EncodeLayer(unsigned width, uint8_t* ranks, size_t words, uint8_t* planes) {
  const auto escape = static_cast<uint8_t>((1U << width) - 1);
  size_t escapes = 0;
  for (size_t word = 0; word < words; ++word) {
    uint64_t word_planes[kMaxLayerWidth] = {};
    for (size_t p = 0; p < kGroupElements; ++p) {
      const uint8_t rank = ranks[word * kGroupElements + p];
      const uint8_t stored = rank < escape ? rank : escape;
      for (unsigned j = 0; j < kMaxLayerWidth; ++j) {
        word_planes[j] |= static_cast<uint64_t>(stored >> j & 1) << p;
      }
      // Written each time, kept only where the element escapes: no branch.
      ranks[escapes] = static_cast<uint8_t>(rank - escape);
      escapes += stored == escape ? 1 : 0;
    }
    StorePlanes(word_planes, width, planes + word * width * 8);
  }
  return escapes;
}

// One element's rank: its bits of this layer, and what the next one adds.
class LayerReader {
 public:
  LayerReader(unsigned width, const uint8_t* planes, const uint8_t* survivors)
      : width_(width), planes_(planes), survivors_(survivors) {}

  void NextWord() {
    LoadPlanes(planes_, width_, word_);
    planes_ += width_ * sizeof *word_;
  }
  uint8_t RankAt(size_t position) {
    unsigned rank = 0;
    for (unsigned j = 0; j < width_; ++j) rank |= BitOf(word_[j], position) << j;
    if (rank == (1U << width_) - 1) rank += survivors_[escapes_++];
    return static_cast<uint8_t>(rank);
  }
  size_t escapes() const { return escapes_; }

 private:
  const unsigned width_;
  const uint8_t* planes_;
  const uint8_t* survivors_;
  uint64_t word_[kMaxLayerWidth] = {};
  size_t escapes_ = 0;
};

size_t DecodeLayer(unsigned width, const uint8_t* planes, size_t words, const uint8_t* survivors,
                   uint8_t* ranks) {
  LayerReader layer(width, planes, survivors);
  for (size_t word = 0; word < words; ++word) {
    layer.NextWord();
    for (size_t p = 0; p < kGroupElements; ++p) *ranks++ = layer.RankAt(p);
  }
  return layer.escapes();
}

template <Arrangement A>
JoinResult Join(unsigned width, const JoinArguments& a) {
  constexpr ArrangementLayout kLayout = LayoutOf(A);
  if (a.next_bytes > 0) Checksum(a.next, a.next_bytes, *a.next_checksum);
  JoinResult result;
  LayerReader layer(width, a.layer, a.survivors);
  for (size_t group = 0; group < a.groups; ++group) {
    const uint8_t* const table = a.rank_tables + group / kTableGroups * kTableEntries;
    const uint8_t* const bytes = a.bytes + group * kLayout.group_bytes;
    uint64_t planes[kMaxPlanes] = {};
    LoadPlanes(a.planes + group * kLayout.group_planes * 8, kLayout.group_planes, planes);
    layer.NextWord();
    for (size_t p = 0; p < kGroupElements; ++p) {
      const uint8_t rank = layer.RankAt(p);
      uint8_t symbol = table[rank % kTableEntries];
      if (rank == a.max_rank) {
        if (result.verbatim == a.verbatim_count) {
          result.overrun = true;
          return result;
        }
        symbol = a.verbatim[result.verbatim++];
      }
      uint32_t element = JoinElement<A>(symbol, p, a.zero_point, bytes, planes);
      if constexpr (A == Arrangement::kF16ShortMantissa) {
        if (symbol == 0) {
          if (result.low_bits == a.low_bits_count) {
            result.overrun = true;
            return result;
          }
          element |= a.low_bits[result.low_bits++];
        }
      }
      StoreElement<A>(a.elements + group * kGroupElements * kLayout.element_bytes, p, element);
    }
  }
  result.escapes = layer.escapes();
  return result;
}

}  // namespace

const Kernels kScalarKernels = {
    .set = InstructionSet::kScalar,
    .checksum = Checksum,
    .split =
        [](Arrangement arrangement, const SplitArguments& a) {
          return WithArrangement(arrangement, [&]<Arrangement A>() { return Split<A>(a); });
        },
    .rank = Rank,
    .encode_layer = EncodeLayer,
    .decode_layer = DecodeLayer,
    .join =
        [](Arrangement arrangement, unsigned width, const JoinArguments& a) {
          return WithArrangement(arrangement, [&]<Arrangement A>() { return Join<A>(width, a); });
        },
};

}  // namespace warmset::codec
