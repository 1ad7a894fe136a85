// AVX2. Decoding is bound by the vector units, so it counts every instruction of
// theirs: planes become masks of whole bytes, sums of masks are the indices of byte
// shuffles that expand the escaped elements, 16 at a time.
#include "codec/layered/kernels.h"

#if defined(__x86_64__)
#include "codec/layered/dispatch.h"
#include "codec/layered/encode_avx2.h"
#include "codec/layered/vectors_avx2.h"

namespace warmset::codec {
namespace {

constexpr size_t kCacheLine = 64;
// Far enough for memory to answer in time.
constexpr size_t kPrefetchAhead = 16 * 1024;

uint64_t LoadPlane(const uint8_t* from) {
  uint64_t plane;
  __builtin_memcpy(&plane, from, sizeof plane);
  return plane;
}

// A plane in each of four places.
Vector LoadPlaneEverywhere(const uint8_t* from) {
  return _mm256_set1_epi64x(static_cast<int64_t>(LoadPlane(from)));
}

// 0xff in each byte whose bit is set in half of such a plane: elements 0 to 31 or
// 32 to 63 of it.
Vector MaskOf(Vector plane, size_t half) {
  const Vector byte_of_element[] = {
      Opaque(_mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,  //
                              2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3)),
      Opaque(_mm256_setr_epi8(4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5,  //
                              6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7))};
  const Vector other_bits = Opaque(_mm256_set1_epi64x(0x7fbfdfeff7fbfdfe));
  const Vector spread = _mm256_shuffle_epi8(plane, byte_of_element[half]);
  return _mm256_cmpeq_epi8(_mm256_or_si256(spread, other_bits), Bytes(0xff));
}

// In each 32 bits, swaps the bits at the ones of `mask` with those kDistance above.
template <int kDistance>
Vector SwapBits(Vector vector, unsigned mask) {
  const Vector change = _mm256_and_si256(
      _mm256_xor_si256(_mm256_srli_epi32(vector, kDistance), vector), DoubleWords(mask));
  // Both of each pair at once.
  return _mm256_xor_si256(vector, _mm256_mullo_epi32(change, DoubleWords((1U << kDistance) + 1)));
}

// Of each of 64 elements its bits in kPlanes planes, the first one lowest. Without
// the fourth one, the high half of a byte may be anything below 8.
template <unsigned kPlanes>
void GatherPlanes(const uint8_t* planes, Vector (&elements)[2]) {
  static_assert(kPlanes >= 2 && kPlanes <= 4);
  // Each 32 bits get a byte of every plane. Lanes have those bytes that
  // _mm256_unpack*_epi32 below puts into order.
  const Vector first_planes = _mm256_setr_epi8(0, 8, -1, -1, 1, 9, -1, -1, 4, 12, -1, -1, 5, 13,
                                               -1, -1, 2, 10, -1, -1, 3, 11, -1, -1, 6, 14, -1,
                                               -1, 7, 15, -1, -1);
  const auto load_pair = [](const uint8_t* from) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  };
  Vector bits = _mm256_shuffle_epi8(load_pair(planes), first_planes);
  if constexpr (kPlanes == 3) {
    const Vector last_plane = _mm256_setr_epi8(-1, -1, 0, -1, -1, -1, 1, -1, -1, -1, 4, -1, -1, -1,
                                               5, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1, 6, -1,
                                               -1, -1, 7, -1);
    bits = _mm256_or_si256(bits, _mm256_shuffle_epi8(LoadPlaneEverywhere(planes + 16), last_plane));
  } else if constexpr (kPlanes == 4) {
    const Vector last_planes = _mm256_setr_epi8(-1, -1, 0, 8, -1, -1, 1, 9, -1, -1, 4, 12, -1, -1,
                                                5, 13, -1, -1, 2, 10, -1, -1, 3, 11, -1, -1, 6, 14,
                                                -1, -1, 7, 15);
    bits = _mm256_or_si256(bits, _mm256_shuffle_epi8(load_pair(planes + 16), last_planes));
  }
  // From 8 bits of each plane to 4 bits of each element: those of elements 0 to 3
  // are in the low halves of four bytes, those of elements 4 to 7 in the high ones.
  bits = SwapBits<7>(bits, 0x00aa00aa);
  bits = SwapBits<14>(bits, 0x0000cccc);
  Vector low = bits;
  Vector high = _mm256_srli_epi32(bits, 4);
  if constexpr (kPlanes == 4) {
    low = _mm256_and_si256(low, Bytes(0xf));
    high = _mm256_and_si256(high, Bytes(0xf));
  }
  elements[0] = _mm256_unpacklo_epi32(low, high);
  elements[1] = _mm256_unpackhi_epi32(low, high);
}

// The sums of the two halves of eight lanes.
class RunningChecksum {
 public:
  explicit RunningChecksum(const ChecksumState& state) : state_(state) {}

  void Add(const uint8_t* data, size_t bytes) {
    Vector sum[2];
    Vector sum_of_sums[2];
    for (size_t half = 0; half < 2; ++half) {
      sum[half] = Load(reinterpret_cast<const uint8_t*>(state_.sum + 4 * half));
      sum_of_sums[half] = Load(reinterpret_cast<const uint8_t*>(state_.sum_of_sums + 4 * half));
    }
    for (size_t offset = 0; offset < bytes; offset += kCacheLine) {
      _mm_prefetch(reinterpret_cast<const char*>(data + offset + kPrefetchAhead), _MM_HINT_T0);
      for (size_t half = 0; half < 2; ++half) {
        sum[half] = _mm256_add_epi64(sum[half], Load(data + offset + kVectorBytes * half));
        sum_of_sums[half] = _mm256_add_epi64(sum_of_sums[half], sum[half]);
      }
    }
    for (size_t half = 0; half < 2; ++half) {
      Store(reinterpret_cast<uint8_t*>(state_.sum + 4 * half), sum[half]);
      Store(reinterpret_cast<uint8_t*>(state_.sum_of_sums + 4 * half), sum_of_sums[half]);
    }
  }
  const ChecksumState& state() const { return state_; }

 private:
  ChecksumState state_;
};

void Checksum(const uint8_t* data, size_t bytes, ChecksumState& state) {
  RunningChecksum checksum(state);
  checksum.Add(data, bytes);
  state = checksum.state();
}

// Puts a list's elements where `mask` has ones, and zeros elsewhere. Each 16 bytes
// have a list of their own; all 16 bytes of it must be readable.
Vector Expand(const uint8_t* low_list, const uint8_t* high_list, Vector mask) {
  const Vector lists = _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low_list))),
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(high_list)), 1);
  const Vector below_4 =
      _mm256_setr_epi8(-1, -1, -1, -1, 3, 3, 3, 3, -1, -1, -1, -1, 11, 11, 11, 11,  //
                       -1, -1, -1, -1, 3, 3, 3, 3, -1, -1, -1, -1, 11, 11, 11, 11);
  const Vector below_8 =
      _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 7, 7, 7, 7, 7, 7, 7, 7,  //
                       -1, -1, -1, -1, -1, -1, -1, -1, 7, 7, 7, 7, 7, 7, 7, 7);
  // How many ones there are up to each byte, of its 4, its 8 and its 16. As ones are
  // 0xff, the factor is 0x01010101 divided by 255, modulo 2^32.
  Vector count = _mm256_mullo_epi32(mask, DoubleWords(0xfbfcfdff));
  count = _mm256_add_epi8(count, _mm256_shuffle_epi8(count, below_4));
  count = _mm256_add_epi8(count, _mm256_shuffle_epi8(count, below_8));
  // Less one, which makes an index, or -1, which makes a zero.
  const Vector index = _mm256_add_epi8(_mm256_and_si256(count, mask), Bytes(0xff));
  return _mm256_shuffle_epi8(lists, index);
}

// The ranks of a layer's next 64 elements, from the ranks of those that escape.
// Returns how many do. May read 16 bytes behind the last one.
template <unsigned kWidth>
[[gnu::always_inline]] inline size_t DecodeWord(const uint8_t* planes, const uint8_t* survivors,
                                                Vector (&ranks)[2]) {
  uint64_t escapes = LoadPlane(planes);
  for (unsigned j = 1; j < kWidth; ++j) escapes &= LoadPlane(planes + size_t{8} * j);
  const uint8_t* const lists[] = {survivors, survivors + CountBits(escapes & 0xffff),
                                  survivors + CountBits(escapes & 0xffffffff),
                                  survivors + CountBits(escapes << 16)};
  Vector plane[kWidth];
  for (unsigned j = 0; j < kWidth; ++j) plane[j] = LoadPlaneEverywhere(planes + size_t{8} * j);
  for (size_t half = 0; half < 2; ++half) {
    Vector escaped = MaskOf(plane[kWidth - 1], half);
    Vector value = escaped;  // negative, as ones are -1
    for (unsigned j = kWidth - 1; j-- > 0;) {
      const Vector mask = MaskOf(plane[j], half);
      value = _mm256_add_epi8(_mm256_add_epi8(value, value), mask);
      escaped = _mm256_and_si256(escaped, mask);
    }
    ranks[half] = _mm256_sub_epi8(Expand(lists[2 * half], lists[2 * half + 1], escaped), value);
  }
  return CountBits(escapes);
}

template <unsigned kWidth>
size_t DecodeLayer(const uint8_t* planes, size_t words, const uint8_t* survivors, uint8_t* ranks) {
  size_t escapes = 0;
  for (size_t i = 0; i < words; ++i) {
    Vector rank[2];
    escapes += DecodeWord<kWidth>(planes + i * kWidth * 8, survivors + escapes, rank);
    Store(ranks + i * kGroupElements, rank[0]);
    Store(ranks + i * kGroupElements + kVectorBytes, rank[1]);
  }
  return escapes;
}

template <bool kNonTemporal>
void StoreElements(uint8_t* to, Vector vector) {
  if constexpr (kNonTemporal) {
    _mm256_stream_si256(reinterpret_cast<Vector*>(to), vector);
  } else {
    Store(to, vector);
  }
}

Vector SignFirst(Vector words) {
  return _mm256_or_si256(_mm256_srli_epi16(words, 1), _mm256_slli_epi16(words, 15));
}

// Where an element, or the byte of it that has them, has its symbol's bits.
constexpr unsigned SymbolShift(Arrangement arrangement) {
  switch (arrangement) {
    case Arrangement::kBF16:
    case Arrangement::kF32:
    case Arrangement::kF32HighHalf:
    case Arrangement::kF16ShortMantissa:
      return 0;
    case Arrangement::kF16:
    case Arrangement::kF8E5M2:
      return 2;
    case Arrangement::kF8E4M3:
      return 3;
    default:
      return IntegerLowBits(arrangement);
  }
}

// From a group's sections to its elements. The symbols are at SymbolShift(A).
template <Arrangement A, bool kNonTemporal>
[[gnu::always_inline]] inline void JoinGroup(uint8_t* to, const Vector (&symbols)[2],
                                             const Vector (&extra)[2], Vector zero_point,
                                             const uint8_t* bytes, const uint8_t* planes) {
  const auto store = [&](size_t half, Vector vector) {
    StoreElements<kNonTemporal>(to + half * kVectorBytes, vector);
  };
  const auto store_words = [&](size_t half, Vector low, Vector high, auto change) {
    store(half, change(_mm256_unpacklo_epi8(low, high)));
    store(half + 2, change(_mm256_unpackhi_epi8(low, high)));
  };
  // By planes of the sign, of the mantissa's bit 1 and of its bit 0.
  const Vector sign_and_mantissa = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -128, 2, -126, 1, -127, 3, -125, 0, 0, 0, 0, 0, 0, 0, 0));
  if constexpr (A == Arrangement::kBF16) {
    for (size_t half = 0; half < 2; ++half) {
      store_words(half, Load(bytes + half * 32), symbols[half], SignFirst);
    }
  } else if constexpr (A == Arrangement::kF32 || A == Arrangement::kF32HighHalf) {
    for (size_t half = 0; half < 2; ++half) {
      const Vector signs = Load(bytes + half * 32);
      const Vector high[] = {SignFirst(_mm256_unpacklo_epi8(signs, symbols[half])),
                             SignFirst(_mm256_unpackhi_epi8(signs, symbols[half]))};
      for (size_t i = 0; i < 2; ++i) {
        Vector low = _mm256_setzero_si256();
        if constexpr (A == Arrangement::kF32) low = Load(bytes + 64 + 64 * i + half * 32);
        store(half + 4 * i, _mm256_unpacklo_epi16(low, high[i]));
        store(half + 4 * i + 2, _mm256_unpackhi_epi16(low, high[i]));
      }
    }
  } else if constexpr (A == Arrangement::kF16) {
    Vector bits[2];
    GatherPlanes<3>(planes, bits);
    for (size_t half = 0; half < 2; ++half) {
      const Vector rest = _mm256_shuffle_epi8(sign_and_mantissa, bits[half]);
      store_words(half, Load(bytes + half * 32), _mm256_or_si256(symbols[half], rest),
                  [](Vector words) { return words; });
    }
  } else if constexpr (A == Arrangement::kF16ShortMantissa) {
    // The sign, which is the lowest bit, becomes the highest one, all others move by
    // two; a product does both.
    const auto widen = [](Vector words) {
      return _mm256_and_si256(_mm256_mullo_epi16(words, Words(0x8004)), Words(0xfff8));
    };
    const Vector zero = _mm256_setzero_si256();
    for (size_t half = 0; half < 2; ++half) {
      const Vector low = Load(bytes + half * 32);
      store(half, _mm256_or_si256(widen(_mm256_unpacklo_epi8(low, symbols[half])),
                                  _mm256_unpacklo_epi8(extra[half], zero)));
      store(half + 2, _mm256_or_si256(widen(_mm256_unpackhi_epi8(low, symbols[half])),
                                      _mm256_unpackhi_epi8(extra[half], zero)));
    }
  } else if constexpr (A == Arrangement::kF8E4M3) {
    // So that each lane's unpacked halves follow one another.
    const Vector pairs = _mm256_permute4x64_epi64(Load(bytes), 0b11011000);
    // Sign and mantissa to their places.
    const Vector places = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -128, -127, -126, -125, -124, -123, -122, -121));
    const Vector even = _mm256_shuffle_epi8(places, _mm256_and_si256(pairs, Bytes(0xf)));
    const Vector odd =
        _mm256_shuffle_epi8(places, _mm256_and_si256(_mm256_srli_epi16(pairs, 4), Bytes(0xf)));
    store(0, _mm256_or_si256(symbols[0], _mm256_unpacklo_epi8(even, odd)));
    store(1, _mm256_or_si256(symbols[1], _mm256_unpackhi_epi8(even, odd)));
  } else if constexpr (A == Arrangement::kF8E5M2) {
    Vector bits[2];
    GatherPlanes<3>(planes, bits);
    for (size_t half = 0; half < 2; ++half) {
      const Vector rest = _mm256_shuffle_epi8(sign_and_mantissa, bits[half]);
      store(half, _mm256_or_si256(symbols[half], rest));
    }
  } else {
    constexpr unsigned kLowBits = IntegerLowBits(A);
    Vector rest[2];
    if constexpr (kLowBits == 4) {
      GatherPlanes<4>(planes, rest);
      const Vector signs = LoadPlaneEverywhere(planes + size_t{8} * kLowBits);
      for (size_t half = 0; half < 2; ++half) {
        rest[half] = _mm256_xor_si256(rest[half], MaskOf(signs, half));
      }
    } else {
      // The sign, above the low bits, makes a complement of the magnitude.
      GatherPlanes<kLowBits + 1>(planes, rest);
      constexpr int kSign = 1 << kLowBits;
      const auto value = [](int bits) {
        return static_cast<char>((bits & kSign) != 0 ? ~(bits ^ kSign) : bits);
      };
      const Vector values = _mm256_broadcastsi128_si256(_mm_setr_epi8(
          value(0), value(1), value(2), value(3), value(4), value(5), value(6), value(7), value(8),
          value(9), value(10), value(11), value(12), value(13), value(14), value(15)));
      for (Vector& bits : rest) bits = _mm256_shuffle_epi8(values, bits);
    }
    for (size_t half = 0; half < 2; ++half) {
      store(half, _mm256_add_epi8(_mm256_xor_si256(symbols[half], rest[half]), zero_point));
    }
  }
}

// Replaces the bytes at `mask` by elements from a list of which `taken` are
// used. Returns false when the list is too short.
[[gnu::noinline]] bool TakeBytes(const uint8_t* list, size_t count, uint64_t mask, size_t& taken,
                                 unsigned shift, Vector (&into)[2]) {
  alignas(64) uint8_t bytes[kGroupElements];
  Store(bytes, into[0]);
  Store(bytes + kVectorBytes, into[1]);
  for (; mask != 0; mask &= mask - 1) {
    if (taken == count) return false;
    bytes[_tzcnt_u64(mask)] = static_cast<uint8_t>(list[taken++] << shift);
  }
  into[0] = Load(bytes);
  into[1] = Load(bytes + kVectorBytes);
  return true;
}

bool HasByte(Vector bytes, Vector byte) {
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, byte)) != 0;
}

template <Arrangement A, unsigned kWidth, bool kNonTemporal>
JoinResult JoinAll(const JoinArguments& arguments) {
  constexpr ArrangementLayout kLayout = LayoutOf(A);
  // Copies, because a vector's store might change what a reference refers to.
  const JoinArguments a = arguments;
  size_t escapes = 0;
  size_t verbatim_taken = 0;
  size_t low_bits_taken = 0;
  const Vector max_rank = Bytes(a.max_rank);
  const Vector zero_point = Bytes(a.zero_point);
  constexpr unsigned kShift = SymbolShift(A);
  ChecksumState next_state;
  if (a.next_bytes > 0) next_state = *a.next_checksum;
  RunningChecksum next_checksum(next_state);
  // The next block comes in about as fast as this one goes out, a few lines at a time:
  // often enough not to wait for them, seldom enough not to cost much.
  constexpr size_t kRunGroups = 8 / kLayout.element_bytes;
  static_assert(kTableGroups % kRunGroups == 0);
  const size_t runs = (a.groups + kRunGroups - 1) / kRunGroups;
  const size_t next_step =
      (a.next_bytes + kCacheLine * runs - 1) / (kCacheLine * runs) * kCacheLine;
  size_t next = 0;
  for (size_t run = 0; run < a.groups; run += kRunGroups) {
    if (next < a.next_bytes) {
      const size_t bytes = a.next_bytes - next < next_step ? a.next_bytes - next : next_step;
      next_checksum.Add(a.next + next, bytes);
      next += bytes;
    }
    const Vector table = _mm256_slli_epi16(
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(
            a.rank_tables + run / kTableGroups * kTableEntries))),
        kShift);
    const size_t end = run + kRunGroups < a.groups ? run + kRunGroups : a.groups;
    for (size_t group = run; group < end; ++group) {
      Vector ranks[2];
      escapes += DecodeWord<kWidth>(a.layer + group * kWidth * 8, a.survivors + escapes, ranks);
      Vector symbols[] = {_mm256_shuffle_epi8(table, ranks[0]),
                          _mm256_shuffle_epi8(table, ranks[1])};
      // No rank is above max_rank.
      if (HasByte(_mm256_max_epu8(ranks[0], ranks[1]), max_rank)) [[unlikely]] {
        Vector changed[] = {symbols[0], symbols[1]};
        if (!TakeBytes(a.verbatim, a.verbatim_count, EqualBytes(ranks, max_rank), verbatim_taken,
                       kShift, changed)) {
          return {escapes, verbatim_taken, low_bits_taken, true};
        }
        symbols[0] = changed[0];
        symbols[1] = changed[1];
      }
      Vector extra[] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      if constexpr (A == Arrangement::kF16ShortMantissa) {
        const Vector zero = _mm256_setzero_si256();
        if (HasByte(_mm256_min_epu8(symbols[0], symbols[1]), zero)) [[unlikely]] {
          Vector changed[] = {extra[0], extra[1]};
          if (!TakeBytes(a.low_bits, a.low_bits_count, EqualBytes(symbols, zero), low_bits_taken, 0,
                         changed)) {
            return {escapes, verbatim_taken, low_bits_taken, true};
          }
          extra[0] = changed[0];
          extra[1] = changed[1];
        }
      }
      JoinGroup<A, kNonTemporal>(a.elements + group * 64 * kLayout.element_bytes, symbols, extra,
                                 zero_point, a.bytes + group * kLayout.group_bytes,
                                 a.planes + group * kLayout.group_planes * 8);
    }
  }
  if constexpr (kNonTemporal) _mm_sfence();
  if (a.next_bytes > 0) *a.next_checksum = next_checksum.state();
  return {escapes, verbatim_taken, low_bits_taken, false};
}

}  // namespace

const Kernels kAvx2Kernels = {
    .set = InstructionSet::kAvx2,
    .checksum = Checksum,
    .split = SplitAvx2,
    .rank = RankAvx2,
    .encode_layer = EncodeLayerAvx2,
    .decode_layer =
        [](unsigned width, const uint8_t* planes, size_t words, const uint8_t* survivors,
           uint8_t* ranks) {
          return WithWidth(
              width, [&]<unsigned W>() { return DecodeLayer<W>(planes, words, survivors, ranks); });
        },
    .join =
        [](Arrangement arrangement, unsigned width, const JoinArguments& a) {
          return WithArrangement(arrangement, [&]<Arrangement A>() {
            return WithWidth(width, [&]<unsigned W>() {
              return a.non_temporal ? JoinAll<A, W, true>(a) : JoinAll<A, W, false>(a);
            });
          });
        },
};

}  // namespace warmset::codec
#endif
