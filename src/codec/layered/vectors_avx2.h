// What the files for AVX2 share; nothing for others. All of it is static: each has its
// own copy, see CMakeLists.txt.
#pragma once

#if defined(__AVX2__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace warmset::codec {

using Vector = __m256i;

inline constexpr size_t kVectorBytes = sizeof(Vector);

static inline Vector Load(const uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const Vector*>(from));
}
static inline void Store(uint8_t* to, Vector vector) {
  _mm256_storeu_si256(reinterpret_cast<Vector*>(to), vector);
}
// GCC would make a constant anew in each turn of a loop, with three instructions,
// rather than keep it in memory.
static inline Vector Opaque(Vector constant) {
  asm("" : "+x"(constant));
  return constant;
}
static inline Vector Bytes(unsigned value) {
  return Opaque(_mm256_set1_epi8(static_cast<char>(value)));
}
static inline Vector Words(unsigned value) {
  return Opaque(_mm256_set1_epi16(static_cast<int16_t>(value)));
}
static inline Vector DoubleWords(unsigned value) {
  return Opaque(_mm256_set1_epi32(static_cast<int32_t>(value)));
}
static inline size_t CountBits(uint64_t mask) { return static_cast<size_t>(_mm_popcnt_u64(mask)); }

// One bit for each of 64 bytes that equals the byte in `to`.
static inline uint64_t EqualBytes(const Vector (&bytes)[2], Vector to) {
  const Vector low = _mm256_cmpeq_epi8(bytes[0], to);
  const Vector high = _mm256_cmpeq_epi8(bytes[1], to);
  return uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(high))} << 32 |
         static_cast<uint32_t>(_mm256_movemask_epi8(low));
}

}  // namespace warmset::codec
#endif
