#include "codec/layered/encode_avx2.h"

#if defined(__x86_64__)
#include "codec/layered/dispatch.h"
#include "codec/layered/vectors_avx2.h"

namespace warmset::codec {
namespace {

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

size_t SplitAvx2(Arrangement arrangement, const SplitArguments& arguments) {
  return WithArrangement(arrangement, [&]<Arrangement A>() { return Split<A>(arguments); });
}

// Every rank's symbol is looked for in turn: tables of 256 are too large to
// shuffle, and there are 15 ranks at most.
size_t RankAvx2(uint8_t* symbols, size_t groups, const uint8_t* rank_of, uint8_t max_rank,
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

size_t EncodeLayerAvx2(unsigned width, uint8_t* ranks, size_t words, uint8_t* planes) {
  return WithWidth(width, [&]<unsigned W>() { return EncodeLayer<W>(ranks, words, planes); });
}

}  // namespace warmset::codec
#endif
