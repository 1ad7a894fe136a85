// AVX2. Decoding is bound by the vector units, so it counts every instruction of
// theirs: planes become masks of whole bytes, sums of masks are the indices of byte
// shuffles that expand the escaped elements, 16 at a time.
#include "codec/layered/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/layered/dispatch.h"

namespace warmset::codec {
namespace {

using Vector = __m256i;

constexpr size_t kVectorBytes = sizeof(Vector);
constexpr size_t kCacheLine = 64;
// Far enough for memory to answer in time.
constexpr size_t kPrefetchAhead = 16 * 1024;

Vector Load(const uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const Vector*>(from));
}
void Store(uint8_t* to, Vector vector) {
  _mm256_storeu_si256(reinterpret_cast<Vector*>(to), vector);
}
uint64_t LoadPlane(const uint8_t* from) {
  uint64_t plane;
  __builtin_memcpy(&plane, from, sizeof plane);
  return plane;
}
// GCC would make a constant anew in each turn of a loop, with three instructions,
// rather than keep it in memory.
Vector Opaque(Vector constant) {
  asm("" : "+x"(constant));
  return constant;
}
Vector Bytes(unsigned value) { return Opaque(_mm256_set1_epi8(static_cast<char>(value))); }
Vector Words(unsigned value) { return Opaque(_mm256_set1_epi16(static_cast<int16_t>(value))); }
Vector DoubleWords(unsigned value) {
  return Opaque(_mm256_set1_epi32(static_cast<int32_t>(value)));
}
size_t CountBits(uint64_t mask) { return static_cast<size_t>(_mm_popcnt_u64(mask)); }

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

template <unsigned kWidth>
uint64_t EscapesOf(const uint8_t* planes) {
  uint64_t escapes = LoadPlane(planes);
  for (unsigned j = 1; j < kWidth; ++j) escapes &= LoadPlane(planes + size_t{8} * j);
  return escapes;
}

// The first 16 bytes of two lists.
Vector LoadLists(const uint8_t* low, const uint8_t* high) {
  return _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
}

// The ranks of a layer's next 64 elements, from the ranks of those that escape.
// Returns how many do. May read 16 bytes behind the last one.
//
// Both halves take each step together: a processor looks ahead too little to find
// the second one's chain behind the first one's.
template <unsigned kWidth>
[[gnu::always_inline]] inline size_t DecodeWord(const uint8_t* planes, const uint8_t* survivors,
                                                Vector (&ranks)[2]) {
  const uint64_t escapes = EscapesOf<kWidth>(planes);
  // Each 16 elements take theirs from a list of their own.
  const Vector lists[] = {
      LoadLists(survivors, survivors + CountBits(escapes & 0xffff)),
      LoadLists(survivors + CountBits(escapes & 0xffffffff), survivors + CountBits(escapes << 16))};
  const auto for_halves = [](auto step) {
    step(0);
    step(1);
  };
  // Ones are -1.
  Vector value[2];
  Vector escaped[2];
  for (unsigned j = kWidth; j-- > 0;) {
    const Vector plane = LoadPlaneEverywhere(planes + size_t{8} * j);
    for_halves([&](size_t half) {
      const Vector mask = MaskOf(plane, half);
      const bool is_first = j + 1 == kWidth;
      value[half] =
          is_first ? mask : _mm256_add_epi8(_mm256_add_epi8(value[half], value[half]), mask);
      escaped[half] = is_first ? mask : _mm256_and_si256(escaped[half], mask);
    });
  }
  // How many elements escape up to each one, of its 4, its 8 and its 16. The
  // product is the one with 0x01010101 divided by 255, modulo 2^32.
  const Vector below_4 =
      _mm256_setr_epi8(-1, -1, -1, -1, 3, 3, 3, 3, -1, -1, -1, -1, 11, 11, 11, 11,  //
                       -1, -1, -1, -1, 3, 3, 3, 3, -1, -1, -1, -1, 11, 11, 11, 11);
  const Vector below_8 =
      _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 7, 7, 7, 7, 7, 7, 7, 7,  //
                       -1, -1, -1, -1, -1, -1, -1, -1, 7, 7, 7, 7, 7, 7, 7, 7);
  Vector count[2];
  for_halves([&](size_t half) {
    count[half] = _mm256_mullo_epi32(escaped[half], DoubleWords(0xfbfcfdff));
  });
  for_halves([&](size_t half) {
    count[half] = _mm256_add_epi8(count[half], _mm256_shuffle_epi8(count[half], below_4));
  });
  for_halves([&](size_t half) {
    count[half] = _mm256_add_epi8(count[half], _mm256_shuffle_epi8(count[half], below_8));
  });
  for_halves([&](size_t half) {
    // -1, where none escapes, makes a zero.
    const Vector index = _mm256_add_epi8(_mm256_and_si256(count[half], escaped[half]), Bytes(0xff));
    ranks[half] = _mm256_sub_epi8(_mm256_shuffle_epi8(lists[half], index), value[half]);
  });
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

// One bit for each of 64 bytes that equals the byte in `to`.
uint64_t EqualBytes(const Vector (&bytes)[2], Vector to) {
  const Vector low = _mm256_cmpeq_epi8(bytes[0], to);
  const Vector high = _mm256_cmpeq_epi8(bytes[1], to);
  return uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(high))} << 32 |
         static_cast<uint32_t>(_mm256_movemask_epi8(low));
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

// Bit `bit` of 32 bytes, as half a plane.
void StorePlane(uint8_t* plane, size_t half, Vector bytes, int bit) {
  const int32_t bits = _mm256_movemask_epi8(_mm256_slli_epi16(bytes, 7 - bit));
  __builtin_memcpy(plane + half * sizeof bits, &bits, sizeof bits);
}

// The low bytes, and the high ones, of two vectors of words.
Vector LowBytes(Vector first, Vector second) {
  return _mm256_packus_epi16(_mm256_and_si256(first, Words(0xff)),
                             _mm256_and_si256(second, Words(0xff)));
}
Vector HighBytes(Vector first, Vector second) {
  return _mm256_packus_epi16(_mm256_srli_epi16(first, 8), _mm256_srli_epi16(second, 8));
}

Vector SignLast(Vector words) {
  return _mm256_or_si256(_mm256_slli_epi16(words, 1), _mm256_srli_epi16(words, 15));
}

// The reverse of JoinGroup(): from 32 elements to their symbols, bytes and planes.
// The pointers are to the group. Returns the low bits of kF16ShortMantissa.
template <Arrangement A>
Vector SplitHalf(size_t half, const uint8_t* from, uint8_t zero_point, uint8_t* symbols,
                 uint8_t* bytes, uint8_t* planes) {
  from += half * kVectorBytes;
  symbols += half * kVectorBytes;
  Vector low_bits = _mm256_setzero_si256();
  const auto split_words = [&](Vector first, Vector second) {
    Store(bytes + half * 32, LowBytes(first, second));
    Store(symbols, HighBytes(first, second));
  };
  if constexpr (A == Arrangement::kBF16) {
    split_words(SignLast(Load(from)), SignLast(Load(from + 64)));
  } else if constexpr (A == Arrangement::kF32 || A == Arrangement::kF32HighHalf) {
    Vector high[2];
    for (size_t i = 0; i < 2; ++i) {
      const Vector first = Load(from + 128 * i);
      const Vector second = Load(from + 128 * i + 64);
      if constexpr (A == Arrangement::kF32) {
        const Vector low_half = _mm256_set1_epi32(0xffff);
        Store(bytes + 64 + 64 * i + half * 32,
              _mm256_packus_epi32(_mm256_and_si256(first, low_half),
                                  _mm256_and_si256(second, low_half)));
      }
      high[i] = SignLast(
          _mm256_packus_epi32(_mm256_srli_epi32(first, 16), _mm256_srli_epi32(second, 16)));
    }
    split_words(high[0], high[1]);
  } else if constexpr (A == Arrangement::kF16) {
    const Vector first = Load(from);
    const Vector second = Load(from + 64);
    Store(bytes + half * 32, LowBytes(first, second));
    const Vector high = HighBytes(first, second);
    Store(symbols, _mm256_and_si256(_mm256_srli_epi16(high, 2), Bytes(0x1f)));
    StorePlane(planes, half, high, 7);
    StorePlane(planes + 8, half, high, 1);
    StorePlane(planes + 16, half, high, 0);
  } else if constexpr (A == Arrangement::kF16ShortMantissa) {
    const Vector first = Load(from);
    const Vector second = Load(from + 64);
    const auto kept = [](Vector words) {
      const Vector mantissa = _mm256_and_si256(_mm256_srli_epi16(words, 2), Words(0xfe));
      return _mm256_or_si256(mantissa, _mm256_srli_epi16(words, 15));
    };
    Store(bytes + half * 32, _mm256_packus_epi16(kept(first), kept(second)));
    Store(symbols,
          _mm256_and_si256(_mm256_srli_epi16(HighBytes(first, second), 2), Bytes(0x1f)));
    low_bits = _mm256_and_si256(LowBytes(first, second), Bytes(7));
  } else if constexpr (A == Arrangement::kF8E4M3) {
    const Vector element = Load(from);
    Store(symbols, _mm256_and_si256(_mm256_srli_epi16(element, 3), Bytes(0xf)));
    const Vector nibbles =
        _mm256_or_si256(_mm256_and_si256(element, Bytes(7)),
                        _mm256_and_si256(_mm256_srli_epi16(element, 4), Bytes(8)));
    // Even ones times 1, odd ones times 16.
    const Vector pairs = _mm256_maddubs_epi16(nibbles, Words(0x1001));
    const Vector packed = _mm256_permute4x64_epi64(
        _mm256_packus_epi16(pairs, _mm256_setzero_si256()), 0b1000);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + half * 16),
                     _mm256_castsi256_si128(packed));
  } else if constexpr (A == Arrangement::kF8E5M2) {
    const Vector element = Load(from);
    Store(symbols, _mm256_and_si256(_mm256_srli_epi16(element, 2), Bytes(0x1f)));
    StorePlane(planes, half, element, 7);
    StorePlane(planes + 8, half, element, 1);
    StorePlane(planes + 16, half, element, 0);
  } else {
    constexpr int kLowBits = static_cast<int>(IntegerLowBits(A));
    const Vector difference = _mm256_sub_epi8(Load(from), Bytes(zero_point));
    const Vector negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), difference);
    const Vector magnitude = _mm256_xor_si256(difference, negative);
    for (int j = 0; j < kLowBits; ++j) StorePlane(planes + 8 * j, half, magnitude, j);
    StorePlane(planes + 8 * kLowBits, half, negative, 7);
    Store(symbols,
          _mm256_and_si256(_mm256_srli_epi16(magnitude, kLowBits), Bytes(0x7f >> kLowBits)));
  }
  return low_bits;
}

// Appends the bytes at `mask`; returns how many.
size_t AppendBytes(const uint8_t* bytes, uint64_t mask, uint8_t* to) {
  size_t count = 0;
  for (; mask != 0; mask &= mask - 1) to[count++] = bytes[_tzcnt_u64(mask)];
  return count;
}

template <Arrangement A>
size_t Split(const SplitArguments& a) {
  constexpr ArrangementLayout kLayout = LayoutOf(A);
  size_t low_bits = 0;
  for (size_t group = 0; group < a.groups; ++group) {
    uint8_t* const symbols = a.symbols + group * kGroupElements;
    alignas(64) uint8_t extra[kGroupElements];
    for (size_t half = 0; half < 2; ++half) {
      Store(extra + half * kVectorBytes,
            SplitHalf<A>(half, a.elements + group * kGroupElements * kLayout.element_bytes,
                         a.zero_point, symbols, a.bytes + group * kLayout.group_bytes,
                         a.planes + group * kLayout.group_planes * 8));
    }
    if constexpr (A == Arrangement::kF16ShortMantissa) {
      const Vector symbol[] = {Load(symbols), Load(symbols + kVectorBytes)};
      const uint64_t subnormal = EqualBytes(symbol, _mm256_setzero_si256());
      low_bits += AppendBytes(extra, subnormal, a.low_bits + low_bits);
    }
  }
  return low_bits;
}

// Every rank's symbol is looked for in turn: tables of 256 are too large to
// shuffle, and there are 15 ranks at most.
size_t Rank(uint8_t* symbols, size_t groups, const uint8_t* rank_of, uint8_t max_rank,
            uint8_t* verbatim) {
  Vector symbol_of[kTableEntries];
  Vector change_of[kTableEntries];  // from max_rank to the rank
  size_t known = 0;
  for (unsigned symbol = 0; symbol < 256; ++symbol) {
    if (rank_of[symbol] == max_rank) continue;
    symbol_of[known] = Bytes(symbol);
    change_of[known++] = Bytes(static_cast<unsigned>(rank_of[symbol]) ^ max_rank);
  }
  size_t count = 0;
  for (size_t group = 0; group < groups; ++group) {
    uint8_t* const at = symbols + group * kGroupElements;
    const Vector symbol[] = {Load(at), Load(at + kVectorBytes)};
    Vector rank[] = {Bytes(max_rank), Bytes(max_rank)};
    for (size_t i = 0; i < known; ++i) {
      for (size_t half = 0; half < 2; ++half) {
        const Vector found = _mm256_cmpeq_epi8(symbol[half], symbol_of[i]);
        rank[half] = _mm256_xor_si256(rank[half], _mm256_and_si256(found, change_of[i]));
      }
    }
    alignas(64) uint8_t ranks[kGroupElements];
    Store(ranks, rank[0]);
    Store(ranks + kVectorBytes, rank[1]);
    count += AppendBytes(at, EqualBytes(rank, Bytes(max_rank)), verbatim + count);
    Store(at, rank[0]);
    Store(at + kVectorBytes, rank[1]);
  }
  return count;
}

// For each 8-bit mask, the places of its set bits; 0x80 makes a zero.
struct CompressTable {
  alignas(64) uint8_t index[256][8];

  constexpr CompressTable() : index{} {
    for (unsigned mask = 0; mask < 256; ++mask) {
      uint8_t next = 0;
      for (uint8_t bit = 0; bit < 8; ++bit) {
        if ((mask >> bit & 1) != 0) index[mask][next++] = bit;
      }
      while (next < 8) index[mask][next++] = 0x80;
    }
  }
};
constexpr CompressTable kCompress;

// Puts those of 64 elements where mask has ones side by side; returns how many. May
// write 8 bytes from the last one on, but no more than 64 in all.
size_t Compress(const uint8_t* elements, uint64_t mask, uint8_t* to) {
  size_t count = 0;
  for (size_t i = 0; i < 64; i += 8) {
    const uint64_t byte = mask >> i & 0xff;
    const __m128i some = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(elements + i));
    const __m128i index = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kCompress.index[byte]));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + count), _mm_shuffle_epi8(some, index));
    count += CountBits(byte);
  }
  return count;
}

template <unsigned kWidth>
size_t EncodeLayer(uint8_t* ranks, size_t words, uint8_t* planes) {
  const Vector escape = Bytes((1U << kWidth) - 1);
  size_t escapes = 0;
  for (size_t word = 0; word < words; ++word) {
    uint8_t* const at = ranks + word * kGroupElements;
    alignas(64) uint8_t rest[kGroupElements];
    uint64_t escaped = 0;
    for (size_t half = 0; half < 2; ++half) {
      const Vector rank = Load(at + half * kVectorBytes);
      const Vector stored = _mm256_min_epu8(rank, escape);
      Store(rest + half * kVectorBytes, _mm256_sub_epi8(rank, escape));
      for (unsigned j = 0; j < kWidth; ++j) {
        StorePlane(planes + (word * kWidth + j) * 8, half, stored, static_cast<int>(j));
      }
      const Vector escapes_here = _mm256_cmpeq_epi8(stored, escape);
      escaped |= uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(escapes_here))} << 32 * half;
    }
    escapes += Compress(rest, escaped, ranks + escapes);
  }
  return escapes;
}

}  // namespace

const Kernels kAvx2Kernels = {
    .set = InstructionSet::kAvx2,
    .checksum = Checksum,
    .split =
        [](Arrangement arrangement, const SplitArguments& a) {
          return WithArrangement(arrangement, [&]<Arrangement A>() { return Split<A>(a); });
        },
    .rank = Rank,
    .encode_layer =
        [](unsigned width, uint8_t* ranks, size_t words, uint8_t* planes) {
          return WithWidth(width, [&]<unsigned W>() { return EncodeLayer<W>(ranks, words, planes); });
        },
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
