// 128-bit XXH3 digests and the identifiers made of them.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace warmset {

// An XXH3-128 digest in canonical (big-endian) byte order, as
// https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md defines it.
// The tag keeps digests of different things apart.
template <typename Tag>
struct Digest128 {
  std::array<std::byte, 16> bytes{};

  friend auto operator<=>(const Digest128&, const Digest128&) = default;
  // 32 lower-case hexadecimal digits.
  std::string Hex() const;
  // kInvalidRequest unless text is exactly 32 hexadecimal digits.
  static StatusOr<Digest128> FromHex(std::string_view text);
  // kInvalidRequest unless raw is 16 bytes long.
  static StatusOr<Digest128> FromBytes(std::span<const std::byte> raw);
};

// Names one model: derived from its place, so it survives a change of content.
using ModelId = Digest128<struct ModelIdTag>;
// Names one component by where its content comes from (source files' identity
// or content hash, layout): equal ids mean equal bytes.
using ComponentId = Digest128<struct ComponentIdTag>;
// Content of one chunk (kDigestChunkBytes of an entry; the last may be shorter).
using ChunkDigest = Digest128<struct ChunkDigestTag>;
// Content of a whole entry: the digest over its chunk digests.
using ContentDigest = Digest128<struct ContentDigestTag>;

inline constexpr uint64_t kDigestChunkBytes = uint64_t{1} << 20;

std::array<std::byte, 16> Xxh3(std::span<const std::byte> data);
inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <typename D>
D DigestOf(std::span<const std::byte> data) {
  return D{Xxh3(data)};
}

// The digest over a list of chunk digests, which stands for the whole content.
ContentDigest CombineDigests(std::span<const ChunkDigest> chunks);

namespace internal {
std::string HexEncode(std::span<const std::byte> data);
StatusOr<std::array<std::byte, 16>> HexDecode16(std::string_view text);
}  // namespace internal

template <typename Tag>
std::string Digest128<Tag>::Hex() const {
  return internal::HexEncode(bytes);
}

template <typename Tag>
StatusOr<Digest128<Tag>> Digest128<Tag>::FromHex(std::string_view text) {
  ASSIGN_OR_RETURN(auto raw, internal::HexDecode16(text));
  return Digest128{raw};
}

template <typename Tag>
StatusOr<Digest128<Tag>> Digest128<Tag>::FromBytes(std::span<const std::byte> raw) {
  if (raw.size() != 16) return Error(ErrorCode::kInvalidRequest, "a digest has 16 bytes");
  Digest128 digest;
  std::copy(raw.begin(), raw.end(), digest.bytes.begin());
  return digest;
}

}  // namespace warmset

template <typename Tag>
struct std::hash<warmset::Digest128<Tag>> {
  size_t operator()(const warmset::Digest128<Tag>& digest) const {
    size_t value = 0;
    static_assert(sizeof value <= 16);
    __builtin_memcpy(&value, digest.bytes.data(), sizeof value);
    return value;
  }
};
