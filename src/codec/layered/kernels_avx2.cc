// Decoding with AVX2: escaped elements are expanded eight at a time by a table
// of byte shuffles, planes become masks of whole bytes. Encoding is the scalar
// one's.
#include "codec/layered/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/layered/dispatch.h"

namespace warmset::codec {
namespace {

using Vector = __m256i;

constexpr size_t kVectorBytes = sizeof(Vector);
constexpr size_t kCacheLine = 64;

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
Vector Bytes(unsigned value) { return _mm256_set1_epi8(static_cast<char>(value)); }
Vector Words(unsigned value) { return _mm256_set1_epi16(static_cast<int16_t>(value)); }
size_t CountBits(uint64_t mask) { return static_cast<size_t>(_mm_popcnt_u64(mask)); }

// 0xff in each byte whose bit is set in half a plane: elements 0 to 31 or 32 to
// 63 of it.
Vector MaskOf(const uint8_t* plane, size_t half) {
  const Vector byte_of_element =
      _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,  //
                       2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
  const Vector bit_of_element = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  int32_t bits;
  __builtin_memcpy(&bits, plane + half * sizeof bits, sizeof bits);
  const Vector spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte_of_element);
  return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of_element), bit_of_element);
}

// Adds `bit` to the bytes that half a plane names.
Vector AddPlane(Vector bytes, const uint8_t* plane, size_t half, unsigned bit) {
  return _mm256_add_epi8(bytes, _mm256_and_si256(MaskOf(plane, half), Bytes(bit)));
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

// For each 8-bit mask, where in a list each of its set bits finds its element;
// 0x80 makes a zero.
struct ExpandTable {
  alignas(64) uint8_t index[256][8];

  constexpr ExpandTable() : index{} {
    for (unsigned mask = 0; mask < 256; ++mask) {
      uint8_t next = 0;
      for (unsigned bit = 0; bit < 8; ++bit) {
        index[mask][bit] = (mask >> bit & 1) != 0 ? next++ : 0x80;
      }
    }
  }
};
constexpr ExpandTable kExpand;

// Puts list's elements where mask has ones, and zeros elsewhere. May read 8
// bytes behind the last element.
void Expand(const uint8_t* list, uint64_t mask, uint8_t* to) {
  for (size_t i = 0; i < 64; i += 8) {
    const uint64_t byte = mask >> i & 0xff;
    const __m128i elements = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(list));
    const __m128i index = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kExpand.index[byte]));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + i), _mm_shuffle_epi8(elements, index));
    list += CountBits(byte);
  }
}

template <unsigned kWidth>
uint64_t EscapesOf(const uint8_t* planes) {
  uint64_t escapes = LoadPlane(planes);
  for (unsigned j = 1; j < kWidth; ++j) escapes &= LoadPlane(planes + size_t{8} * j);
  return escapes;
}

// Two passes over at most kTableGroups words, so that the second one's loads
// find the stores of the first in the cache.
template <unsigned kWidth>
size_t DecodeWords(const uint8_t* planes, size_t words, const uint8_t* survivors, uint8_t* ranks) {
  size_t escapes = 0;
  for (size_t i = 0; i < words; ++i) {
    const uint64_t escaped = EscapesOf<kWidth>(planes + i * kWidth * 8);
    Expand(survivors + escapes, escaped, ranks + i * 64);
    escapes += CountBits(escaped);
  }
  for (size_t i = 0; i < words; ++i) {
    for (size_t half = 0; half < 2; ++half) {
      uint8_t* const at = ranks + i * 64 + half * kVectorBytes;
      Vector rank = Load(at);
      for (unsigned j = 0; j < kWidth; ++j) {
        rank = AddPlane(rank, planes + (i * kWidth + j) * 8, half, 1U << j);
      }
      Store(at, rank);
    }
  }
  return escapes;
}

template <unsigned kWidth>
size_t DecodeLayer(const uint8_t* planes, size_t words, const uint8_t* survivors, uint8_t* ranks) {
  size_t escapes = 0;
  for (size_t i = 0; i < words; i += kTableGroups) {
    const size_t some = words - i < kTableGroups ? words - i : kTableGroups;
    escapes +=
        DecodeWords<kWidth>(planes + i * kWidth * 8, some, survivors + escapes, ranks + i * 64);
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

// The half of a group's sections from position 32 * half on: the pointers are
// to the group, the symbols and extra low bits those of the half.
template <Arrangement A, bool kNonTemporal>
void JoinHalf(size_t half, uint8_t* to, Vector symbols, Vector extra, uint8_t zero_point,
              const uint8_t* bytes, const uint8_t* planes) {
  to += half * kVectorBytes;
  const auto add_plane = [&](Vector to_bytes, size_t i, unsigned bit) {
    return AddPlane(to_bytes, planes + 8 * i, half, bit);
  };
  const auto store_words = [&](Vector low, Vector high, auto change) {
    StoreElements<kNonTemporal>(to, change(_mm256_unpacklo_epi8(low, high)));
    StoreElements<kNonTemporal>(to + 64, change(_mm256_unpackhi_epi8(low, high)));
  };
  if constexpr (A == Arrangement::kBF16) {
    store_words(Load(bytes + half * 32), symbols, SignFirst);
  } else if constexpr (A == Arrangement::kF32 || A == Arrangement::kF32HighHalf) {
    const Vector signs = Load(bytes + half * 32);
    const Vector high[] = {SignFirst(_mm256_unpacklo_epi8(signs, symbols)),
                           SignFirst(_mm256_unpackhi_epi8(signs, symbols))};
    for (size_t i = 0; i < 2; ++i) {
      Vector low = _mm256_setzero_si256();
      if constexpr (A == Arrangement::kF32) low = Load(bytes + 64 + 64 * i + half * 32);
      StoreElements<kNonTemporal>(to + 128 * i, _mm256_unpacklo_epi16(low, high[i]));
      StoreElements<kNonTemporal>(to + 128 * i + 64, _mm256_unpackhi_epi16(low, high[i]));
    }
  } else if constexpr (A == Arrangement::kF16) {
    Vector high = add_plane(_mm256_slli_epi16(symbols, 2), 0, 0x80);
    high = add_plane(add_plane(high, 1, 2), 2, 1);
    store_words(Load(bytes + half * 32), high, [](Vector words) { return words; });
  } else if constexpr (A == Arrangement::kF16ShortMantissa) {
    const auto widen = [](Vector words) {
      const Vector magnitude = _mm256_and_si256(_mm256_slli_epi16(words, 2), Words(0x7ff8));
      return _mm256_or_si256(magnitude, _mm256_slli_epi16(words, 15));
    };
    const Vector low = Load(bytes + half * 32);
    const Vector zero = _mm256_setzero_si256();
    StoreElements<kNonTemporal>(to, _mm256_or_si256(widen(_mm256_unpacklo_epi8(low, symbols)),
                                                    _mm256_unpacklo_epi8(extra, zero)));
    StoreElements<kNonTemporal>(to + 64, _mm256_or_si256(widen(_mm256_unpackhi_epi8(low, symbols)),
                                                         _mm256_unpackhi_epi8(extra, zero)));
  } else if constexpr (A == Arrangement::kF8E4M3) {
    const Vector pairs =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + half * 16)));
    const Vector nibbles =
        _mm256_and_si256(_mm256_or_si256(pairs, _mm256_slli_epi16(pairs, 4)), Bytes(0xf));
    // Sign and mantissa to their places.
    const Vector places = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -128, -127, -126, -125, -124, -123, -122, -121));
    StoreElements<kNonTemporal>(
        to, _mm256_or_si256(_mm256_slli_epi16(symbols, 3), _mm256_shuffle_epi8(places, nibbles)));
  } else if constexpr (A == Arrangement::kF8E5M2) {
    const Vector element = add_plane(_mm256_slli_epi16(symbols, 2), 0, 0x80);
    StoreElements<kNonTemporal>(to, add_plane(add_plane(element, 1, 2), 2, 1));
  } else {
    constexpr unsigned kLowBits = IntegerLowBits(A);
    Vector magnitude = _mm256_slli_epi16(symbols, kLowBits);
    for (unsigned j = 0; j < kLowBits; ++j) magnitude = add_plane(magnitude, j, 1U << j);
    // Negative numbers are the complement.
    const Vector difference =
        _mm256_xor_si256(magnitude, MaskOf(planes + size_t{8} * kLowBits, half));
    StoreElements<kNonTemporal>(to, _mm256_add_epi8(difference, Bytes(zero_point)));
  }
}

// Replaces the bytes at `mask` by elements from a list of which `taken` are
// used. Returns false when the list is too short.
bool TakeBytes(const uint8_t* list, size_t count, uint64_t mask, size_t& taken, uint8_t* bytes) {
  for (; mask != 0; mask &= mask - 1) {
    if (taken == count) return false;
    bytes[_tzcnt_u64(mask)] = list[taken++];
  }
  return true;
}

// One bit for each of 64 bytes that equals the byte in `to`.
uint64_t EqualBytes(const uint8_t* bytes, Vector to) {
  const Vector low = _mm256_cmpeq_epi8(Load(bytes), to);
  const Vector high = _mm256_cmpeq_epi8(Load(bytes + kVectorBytes), to);
  return uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(high))} << 32 |
         static_cast<uint32_t>(_mm256_movemask_epi8(low));
}

template <Arrangement A, unsigned kWidth, bool kNonTemporal>
JoinResult JoinAll(const JoinArguments& a) {
  constexpr ArrangementLayout kLayout = LayoutOf(A);
  const Vector max_rank = Bytes(a.max_rank);
  alignas(64) uint8_t ranks[kTableElements];
  alignas(64) uint8_t symbols[kGroupElements];
  alignas(64) uint8_t extra[kGroupElements] = {};
  JoinResult result;
  ChecksumState next_state;
  if (a.next_bytes > 0) next_state = *a.next_checksum;
  RunningChecksum next_checksum(next_state);
  const size_t tables = (a.groups + kTableGroups - 1) / kTableGroups;
  const size_t next_step =
      (a.next_bytes + kCacheLine * tables - 1) / (kCacheLine * tables) * kCacheLine;
  size_t next = 0;
  for (size_t first = 0; first < a.groups; first += kTableGroups) {
    const size_t some = a.groups - first < kTableGroups ? a.groups - first : kTableGroups;
    const Vector table = _mm256_broadcastsi128_si256(_mm_loadu_si128(
        reinterpret_cast<const __m128i*>(a.rank_tables + first / kTableGroups * kTableEntries)));
    if (next < a.next_bytes) {
      const size_t bytes = a.next_bytes - next < next_step ? a.next_bytes - next : next_step;
      next_checksum.Add(a.next + next, bytes);
      next += bytes;
    }
    result.escapes += DecodeWords<kWidth>(a.layer + first * kWidth * 8, some,
                                          a.survivors + result.escapes, ranks);
    for (size_t i = 0; i < some; ++i) {
      const size_t group = first + i;
      for (size_t line = i; line < next_step / kCacheLine; line += kTableGroups) {
        _mm_prefetch(reinterpret_cast<const char*>(a.next + next + line * kCacheLine), _MM_HINT_T0);
      }
      const uint8_t* const rank = ranks + i * 64;
      Vector symbol[] = {_mm256_shuffle_epi8(table, Load(rank)),
                         _mm256_shuffle_epi8(table, Load(rank + kVectorBytes))};
      Vector low_bits[] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      const uint64_t verbatim = EqualBytes(rank, max_rank);
      if (verbatim != 0 || A == Arrangement::kF16ShortMantissa) [[unlikely]] {
        Store(symbols, symbol[0]);
        Store(symbols + kVectorBytes, symbol[1]);
        if (!TakeBytes(a.verbatim, a.verbatim_count, verbatim, result.verbatim, symbols)) {
          result.overrun = true;
          return result;
        }
        symbol[0] = Load(symbols);
        symbol[1] = Load(symbols + kVectorBytes);
        if constexpr (A == Arrangement::kF16ShortMantissa) {
          const uint64_t subnormal = EqualBytes(symbols, _mm256_setzero_si256());
          if (subnormal != 0) {
            Store(extra, _mm256_setzero_si256());
            Store(extra + kVectorBytes, _mm256_setzero_si256());
            if (!TakeBytes(a.low_bits, a.low_bits_count, subnormal, result.low_bits, extra)) {
              result.overrun = true;
              return result;
            }
            low_bits[0] = Load(extra);
            low_bits[1] = Load(extra + kVectorBytes);
          }
        }
      }
      for (size_t half = 0; half < 2; ++half) {
        JoinHalf<A, kNonTemporal>(half, a.elements + group * 64 * kLayout.element_bytes,
                                  symbol[half], low_bits[half], a.zero_point,
                                  a.bytes + group * kLayout.group_bytes,
                                  a.planes + group * kLayout.group_planes * 8);
      }
    }
  }
  if constexpr (kNonTemporal) _mm_sfence();
  if (a.next_bytes > 0) *a.next_checksum = next_checksum.state();
  return result;
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

// The reverse of JoinHalf(): from 32 elements to their symbols, bytes and planes.
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
      const uint64_t subnormal = EqualBytes(symbols, _mm256_setzero_si256());
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
    count += AppendBytes(at, EqualBytes(ranks, Bytes(max_rank)), verbatim + count);
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
