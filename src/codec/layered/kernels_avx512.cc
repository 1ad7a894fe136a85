// 64 elements at a time with AVX-512 VBMI2: escaped elements are compressed out
// of a vector and expanded into one, planes are mask registers.
#include "codec/layered/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/layered/dispatch.h"

namespace warmset::codec {
namespace {

using Vector = __m512i;

constexpr size_t kCacheLine = 64;
// Far enough for memory to answer in time.
constexpr size_t kPrefetchAhead = 32 * 1024;

Vector Load(const uint8_t* from) { return _mm512_loadu_si512(from); }
void Store(uint8_t* to, Vector vector) { _mm512_storeu_si512(to, vector); }
Vector Bytes(unsigned value) { return _mm512_set1_epi8(static_cast<char>(value)); }
Vector Words(unsigned value) { return _mm512_set1_epi16(static_cast<int16_t>(value)); }
size_t CountBits(__mmask64 mask) { return static_cast<size_t>(_mm_popcnt_u64(mask)); }

__mmask64 LoadPlane(const uint8_t* from) {
  return _load_mask64(reinterpret_cast<__mmask64*>(const_cast<uint8_t*>(from)));
}
void StorePlane(uint8_t* to, __mmask64 plane) {
  _store_mask64(reinterpret_cast<__mmask64*>(to), plane);
}
__mmask64 PlaneOf(Vector bytes, unsigned bit) { return _mm512_test_epi8_mask(bytes, Bytes(bit)); }

// Adds `bit` to the bytes that the plane names.
Vector AddPlane(Vector bytes, __mmask64 plane, unsigned bit) {
  return _mm512_mask_add_epi8(bytes, plane, bytes, Bytes(bit));
}

// Fletcher's sums, kept in registers.
class RunningChecksum {
 public:
  explicit RunningChecksum(const ChecksumState& state)
      : sum_(_mm512_loadu_si512(state.sum)), sum_of_sums_(_mm512_loadu_si512(state.sum_of_sums)) {}

  void Add(Vector words) {
    sum_ = _mm512_add_epi64(sum_, words);
    sum_of_sums_ = _mm512_add_epi64(sum_of_sums_, sum_);
  }
  void Save(ChecksumState& state) const {
    _mm512_storeu_si512(state.sum, sum_);
    _mm512_storeu_si512(state.sum_of_sums, sum_of_sums_);
  }

 private:
  Vector sum_;
  Vector sum_of_sums_;
};

void Checksum(const uint8_t* data, size_t bytes, ChecksumState& state) {
  RunningChecksum checksum(state);
  for (size_t offset = 0; offset < bytes; offset += kCacheLine) checksum.Add(Load(data + offset));
  checksum.Save(state);
}

// The rank bits of one 64-element word of a layer, and which elements escape.
struct LayerWord {
  Vector ranks;
  __mmask64 escapes;
};

template <unsigned kWidth>
LayerWord LoadLayerWord(const uint8_t* planes) {
  __mmask64 plane = LoadPlane(planes);
  LayerWord word{_mm512_maskz_mov_epi8(plane, Bytes(1)), plane};
  for (unsigned j = 1; j < kWidth; ++j) {
    plane = LoadPlane(planes + size_t{8} * j);
    word.ranks = AddPlane(word.ranks, plane, 1U << j);
    word.escapes = _kand_mask64(word.escapes, plane);
  }
  return word;
}

// Spreads list's first elements over those of the mask, zeros elsewhere.
Vector Expand(__mmask64 mask, const uint8_t* list) {
  Vector elements = Load(list);
  // The form of the instruction that loads for itself is several times slower,
  // because it must not touch memory that the mask leaves out.
  __asm__("" : "+v"(elements));
  return _mm512_maskz_expand_epi8(mask, elements);
}

// Adds the ranks that the next layer has for the escaped elements.
Vector AddSurvivors(const LayerWord& word, const uint8_t* survivors) {
  return _mm512_add_epi8(word.ranks, Expand(word.escapes, survivors));
}

template <unsigned kWidth>
size_t DecodeLayer(const uint8_t* planes, size_t words, const uint8_t* survivors, uint8_t* ranks) {
  size_t escapes = 0;
  for (size_t i = 0; i < words; ++i) {
    const LayerWord word = LoadLayerWord<kWidth>(planes + i * kWidth * 8);
    Store(ranks + i * 64, AddSurvivors(word, survivors + escapes));
    escapes += CountBits(word.escapes);
  }
  return escapes;
}

template <unsigned kWidth>
size_t EncodeLayer(uint8_t* ranks, size_t words, uint8_t* planes) {
  const Vector escape = Bytes((1U << kWidth) - 1);
  size_t escapes = 0;
  for (size_t i = 0; i < words; ++i) {
    const Vector rank = Load(ranks + i * 64);
    const Vector stored = _mm512_min_epu8(rank, escape);
    for (unsigned j = 0; j < kWidth; ++j) {
      StorePlane(planes + (i * kWidth + j) * 8, PlaneOf(stored, 1U << j));
    }
    const __mmask64 escaped = _mm512_cmpeq_epi8_mask(stored, escape);
    // Never overtakes the loads: at most 64 elements escape from each 64.
    Store(ranks + escapes, _mm512_maskz_compress_epi8(escaped, _mm512_sub_epi8(rank, escape)));
    escapes += CountBits(escaped);
  }
  return escapes;
}

size_t Rank(uint8_t* symbols, size_t groups, const uint8_t* rank_of, uint8_t max_rank,
            uint8_t* verbatim) {
  const Vector table[] = {Load(rank_of), Load(rank_of + 64), Load(rank_of + 128),
                          Load(rank_of + 192)};
  const Vector escaped_rank = Bytes(max_rank);
  size_t count = 0;
  for (size_t group = 0; group < groups; ++group) {
    uint8_t* const at = symbols + group * 64;
    const Vector symbol = Load(at);
    const Vector low = _mm512_permutex2var_epi8(table[0], symbol, table[1]);
    const Vector high = _mm512_permutex2var_epi8(table[2], symbol, table[3]);
    const Vector rank = _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(symbol), high);
    Store(at, rank);
    const __mmask64 escaped = _mm512_cmpeq_epi8_mask(rank, escaped_rank);
    if (escaped != 0) [[unlikely]] {
      Store(verbatim + count, _mm512_maskz_compress_epi8(escaped, symbol));
      count += CountBits(escaped);
    }
  }
  return count;
}

// 64 bytes of the low halves of 16-bit numbers, and of their high halves.
struct Halves {
  Vector low;
  Vector high;
};

Halves SplitWords(Vector first, Vector second) {
  const Vector low = Words(0xff);
  return {_mm512_packus_epi16(_mm512_and_si512(first, low), _mm512_and_si512(second, low)),
          _mm512_packus_epi16(_mm512_srli_epi16(first, 8), _mm512_srli_epi16(second, 8))};
}

// Turns exponent and mantissa into whole bytes by moving the sign to the end.
Halves SplitBF16(Vector first, Vector second) {
  return SplitWords(_mm512_shldi_epi16(first, first, 1), _mm512_shldi_epi16(second, second, 1));
}

// Divides one group, stores its bits outside of the symbols, returns these.
template <Arrangement A>
Vector SplitGroup(const uint8_t* elements, uint8_t zero_point, uint8_t* bytes, uint8_t* planes) {
  const Vector first = Load(elements);
  if constexpr (A == Arrangement::kBF16) {
    const Halves halves = SplitBF16(first, Load(elements + 64));
    Store(bytes, halves.low);
    return halves.high;
  } else if constexpr (A == Arrangement::kF32 || A == Arrangement::kF32HighHalf) {
    const Vector low = _mm512_set1_epi32(0xffff);
    Vector high[2];
    for (size_t i = 0; i < 2; ++i) {
      const Vector a = Load(elements + 128 * i);
      const Vector b = Load(elements + 128 * i + 64);
      high[i] = _mm512_packus_epi32(_mm512_srli_epi32(a, 16), _mm512_srli_epi32(b, 16));
      if constexpr (A == Arrangement::kF32) {
        Store(bytes + 64 + 64 * i,
              _mm512_packus_epi32(_mm512_and_si512(a, low), _mm512_and_si512(b, low)));
      }
    }
    const Halves halves = SplitBF16(high[0], high[1]);
    Store(bytes, halves.low);
    return halves.high;
  } else if constexpr (A == Arrangement::kF16) {
    const Halves halves = SplitWords(first, Load(elements + 64));
    Store(bytes, halves.low);
    StorePlane(planes, PlaneOf(halves.high, 0x80));
    StorePlane(planes + 8, PlaneOf(halves.high, 2));
    StorePlane(planes + 16, PlaneOf(halves.high, 1));
    return _mm512_and_si512(_mm512_srli_epi16(halves.high, 2), Bytes(0x1f));
  } else if constexpr (A == Arrangement::kF16ShortMantissa) {
    // Seven bits of mantissa, five of exponent: move the sign behind bit 3.
    const auto move_sign = [](Vector words) {
      const Vector sign = _mm512_srli_epi16(words, 15);
      return _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(words, 2), Words(0x1ffe)), sign);
    };
    const Halves halves = SplitWords(move_sign(first), move_sign(Load(elements + 64)));
    Store(bytes, halves.low);
    return halves.high;
  } else if constexpr (A == Arrangement::kF8E4M3) {
    const Vector mantissa = _mm512_and_si512(first, Bytes(7));
    const Vector sign = _mm512_and_si512(_mm512_srli_epi16(first, 4), Bytes(8));
    const Vector nibbles = _mm512_or_si512(mantissa, sign);
    const Vector pairs = _mm512_or_si512(nibbles, _mm512_srli_epi16(nibbles, 4));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), _mm512_cvtepi16_epi8(pairs));
    return _mm512_and_si512(_mm512_srli_epi16(first, 3), Bytes(0xf));
  } else if constexpr (A == Arrangement::kF8E5M2) {
    StorePlane(planes, PlaneOf(first, 0x80));
    StorePlane(planes + 8, PlaneOf(first, 2));
    StorePlane(planes + 16, PlaneOf(first, 1));
    return _mm512_and_si512(_mm512_srli_epi16(first, 2), Bytes(0x1f));
  } else {
    constexpr unsigned kLowBits = IntegerLowBits(A);
    const Vector difference = _mm512_sub_epi8(first, Bytes(zero_point));
    const __mmask64 negative = _mm512_movepi8_mask(difference);
    const Vector magnitude = _mm512_mask_sub_epi8(difference, negative, Bytes(0xff), difference);
    for (unsigned j = 0; j < kLowBits; ++j) {
      StorePlane(planes + size_t{8} * j, PlaneOf(magnitude, 1U << j));
    }
    StorePlane(planes + size_t{8} * kLowBits, negative);
    return _mm512_and_si512(_mm512_srli_epi16(magnitude, kLowBits), Bytes(0x7fU >> kLowBits));
  }
}

template <Arrangement A>
size_t Split(const SplitArguments& a) {
  constexpr ArrangementLayout kLayout = LayoutOf(A);
  size_t low_bits = 0;
  for (size_t group = 0; group < a.groups; ++group) {
    const uint8_t* const elements = a.elements + group * 64 * kLayout.element_bytes;
    const Vector symbols =
        SplitGroup<A>(elements, a.zero_point, a.bytes + group * kLayout.group_bytes,
                      a.planes + group * kLayout.group_planes * 8);
    Store(a.symbols + group * 64, symbols);
    if constexpr (A == Arrangement::kF16ShortMantissa) {
      const __mmask64 subnormal = _mm512_testn_epi8_mask(symbols, symbols);
      if (subnormal != 0) [[unlikely]] {
        const Halves halves = SplitWords(Load(elements), Load(elements + 64));
        Store(a.low_bits + low_bits,
              _mm512_maskz_compress_epi8(subnormal, _mm512_and_si512(halves.low, Bytes(7))));
        low_bits += CountBits(subnormal);
      }
    }
  }
  return low_bits;
}

template <bool kNonTemporal>
void StoreElements(uint8_t* to, Vector vector) {
  if constexpr (kNonTemporal) {
    _mm512_stream_si512(reinterpret_cast<Vector*>(to), vector);
  } else {
    Store(to, vector);
  }
}

// Stores 64 numbers of 16 bits, given their low and high bytes and a change.
template <bool kNonTemporal, typename Change>
void StoreWords(uint8_t* to, Vector low, Vector high, Change change) {
  StoreElements<kNonTemporal>(to, change(_mm512_unpacklo_epi8(low, high)));
  StoreElements<kNonTemporal>(to + 64, change(_mm512_unpackhi_epi8(low, high)));
}

Vector SignFirst(Vector words) { return _mm512_shrdi_epi16(words, words, 1); }

// Puts one group together. `extra` has low bits of kF16ShortMantissa.
template <Arrangement A, bool kNonTemporal>
void JoinGroup(uint8_t* to, Vector symbols, Vector extra, Vector zero_point, const uint8_t* bytes,
               const uint8_t* planes) {
  if constexpr (A == Arrangement::kBF16) {
    StoreWords<kNonTemporal>(to, Load(bytes), symbols, SignFirst);
  } else if constexpr (A == Arrangement::kF32 || A == Arrangement::kF32HighHalf) {
    const Vector signs = Load(bytes);
    const Vector high[] = {SignFirst(_mm512_unpacklo_epi8(signs, symbols)),
                           SignFirst(_mm512_unpackhi_epi8(signs, symbols))};
    for (size_t i = 0; i < 2; ++i) {
      Vector low = _mm512_setzero_si512();
      if constexpr (A == Arrangement::kF32) low = Load(bytes + 64 + 64 * i);
      StoreElements<kNonTemporal>(to + 128 * i, _mm512_unpacklo_epi16(low, high[i]));
      StoreElements<kNonTemporal>(to + 128 * i + 64, _mm512_unpackhi_epi16(low, high[i]));
    }
  } else if constexpr (A == Arrangement::kF16) {
    Vector high = _mm512_slli_epi16(symbols, 2);
    high = AddPlane(high, LoadPlane(planes), 0x80);
    high = AddPlane(high, LoadPlane(planes + 8), 2);
    high = AddPlane(high, LoadPlane(planes + 16), 1);
    StoreWords<kNonTemporal>(to, Load(bytes), high, [](Vector words) { return words; });
  } else if constexpr (A == Arrangement::kF16ShortMantissa) {
    // `extra` comes by words as the elements do.
    const Vector low = Load(bytes);
    const auto widen = [](Vector words, Vector low_bits) {
      const Vector magnitude = _mm512_and_si512(_mm512_slli_epi16(words, 2), Words(0x7ff8));
      const Vector sign = _mm512_slli_epi16(words, 15);
      return _mm512_or_si512(_mm512_or_si512(magnitude, sign), low_bits);
    };
    const Vector zero = _mm512_setzero_si512();
    StoreElements<kNonTemporal>(
        to, widen(_mm512_unpacklo_epi8(low, symbols), _mm512_unpacklo_epi8(extra, zero)));
    StoreElements<kNonTemporal>(
        to + 64, widen(_mm512_unpackhi_epi8(low, symbols), _mm512_unpackhi_epi8(extra, zero)));
  } else if constexpr (A == Arrangement::kF8E4M3) {
    const Vector pairs =
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
    const Vector nibbles =
        _mm512_and_si512(_mm512_or_si512(pairs, _mm512_slli_epi16(pairs, 4)), Bytes(0xf));
    // Sign and mantissa to their places.
    const Vector places = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -128, -127, -126, -125, -124, -123, -122, -121));
    StoreElements<kNonTemporal>(
        to, _mm512_or_si512(_mm512_slli_epi16(symbols, 3), _mm512_shuffle_epi8(places, nibbles)));
  } else if constexpr (A == Arrangement::kF8E5M2) {
    Vector element = _mm512_slli_epi16(symbols, 2);
    element = AddPlane(element, LoadPlane(planes), 0x80);
    element = AddPlane(element, LoadPlane(planes + 8), 2);
    StoreElements<kNonTemporal>(to, AddPlane(element, LoadPlane(planes + 16), 1));
  } else {
    constexpr unsigned kLowBits = IntegerLowBits(A);
    Vector magnitude = _mm512_slli_epi16(symbols, kLowBits);
    for (unsigned j = 0; j < kLowBits; ++j) {
      magnitude = AddPlane(magnitude, LoadPlane(planes + size_t{8} * j), 1U << j);
    }
    const __mmask64 negative = LoadPlane(planes + size_t{8} * kLowBits);
    const Vector difference = _mm512_mask_sub_epi8(magnitude, negative, Bytes(0xff), magnitude);
    StoreElements<kNonTemporal>(to, _mm512_add_epi8(difference, zero_point));
  }
}

// Expands `mask`'s elements from a list of bytes of which `taken` are used.
// Returns false when the list is too short.
bool TakeBytes(const uint8_t* list, size_t count, __mmask64 mask, size_t& taken, Vector& into) {
  const size_t wanted = CountBits(mask);
  if (wanted > count - taken) return false;
  into = _mm512_mask_mov_epi8(into, mask, Expand(mask, list + taken));
  taken += wanted;
  return true;
}

template <Arrangement A, unsigned kWidth, bool kNonTemporal>
JoinResult JoinAll(const JoinArguments& arguments) {
  constexpr ArrangementLayout kLayout = LayoutOf(A);
  // Copies, because a vector's store might change what a reference refers to.
  const JoinArguments a = arguments;
  size_t escapes = 0;
  size_t verbatim_taken = 0;
  size_t low_bits_taken = 0;
  bool overrun = false;
  const Vector max_rank = Bytes(a.max_rank);
  const Vector zero_point = Bytes(a.zero_point);
  // The next block comes in about as fast as this one goes out.
  const size_t next_step =
      (a.next_bytes + kCacheLine * a.groups - 1) / (kCacheLine * a.groups) * kCacheLine;
  size_t next = 0;
  ChecksumState next_state;
  if (a.next_bytes > 0) next_state = *a.next_checksum;
  RunningChecksum next_checksum(next_state);
  Vector table = _mm512_setzero_si512();
  for (size_t group = 0; group < a.groups; ++group) {
    if (group % kTableGroups == 0) {
      table = _mm512_broadcast_i32x4(_mm_loadu_si128(
          reinterpret_cast<const __m128i*>(a.rank_tables + group / kTableGroups * kTableEntries)));
    }
    for (const size_t end = next + next_step < a.next_bytes ? next + next_step : a.next_bytes;
         next < end; next += kCacheLine) {
      _mm_prefetch(reinterpret_cast<const char*>(a.next + next + kPrefetchAhead), _MM_HINT_T0);
      next_checksum.Add(Load(a.next + next));
    }

    const LayerWord word = LoadLayerWord<kWidth>(a.layer + group * kWidth * 8);
    const Vector ranks = AddSurvivors(word, a.survivors + escapes);
    escapes += CountBits(word.escapes);
    Vector symbols = _mm512_shuffle_epi8(table, ranks);
    const __mmask64 verbatim = _mm512_cmpeq_epi8_mask(ranks, max_rank);
    if (verbatim != 0) [[unlikely]] {
      if (!TakeBytes(a.verbatim, a.verbatim_count, verbatim, verbatim_taken, symbols)) {
        overrun = true;
        break;
      }
    }
    Vector extra = _mm512_setzero_si512();
    if constexpr (A == Arrangement::kF16ShortMantissa) {
      const __mmask64 subnormal = _mm512_testn_epi8_mask(symbols, symbols);
      if (subnormal != 0) [[unlikely]] {
        if (!TakeBytes(a.low_bits, a.low_bits_count, subnormal, low_bits_taken, extra)) {
          overrun = true;
          break;
        }
      }
    }
    JoinGroup<A, kNonTemporal>(a.elements + group * 64 * kLayout.element_bytes, symbols, extra,
                               zero_point, a.bytes + group * kLayout.group_bytes,
                               a.planes + group * kLayout.group_planes * 8);
  }
  if constexpr (kNonTemporal) _mm_sfence();
  if (a.next_bytes > 0) next_checksum.Save(*a.next_checksum);
  return {escapes, verbatim_taken, low_bits_taken, overrun};
}

}  // namespace

const Kernels kAvx512Kernels = {
    .set = InstructionSet::kAvx512,
    .checksum = Checksum,
    .split =
        [](Arrangement arrangement, const SplitArguments& a) {
          return WithArrangement(arrangement, [&]<Arrangement A>() { return Split<A>(a); });
        },
    .rank = Rank,
    .encode_layer =
        [](unsigned width, uint8_t* ranks, size_t words, uint8_t* planes) {
          return WithWidth(width,
                           [&]<unsigned W>() { return EncodeLayer<W>(ranks, words, planes); });
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
