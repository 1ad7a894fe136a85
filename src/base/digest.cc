#include "base/digest.h"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // plain xxhash.h stays with SSE2, at half the speed
#else
#include <xxhash.h>
#endif

#include <cstring>

#include "fmt/format.h"

namespace warmset {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::array<std::byte, 16> Xxh3(std::span<const std::byte> data) {
  const XXH128_hash_t hash = XXH3_128bits(data.data(), data.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::array<std::byte, 16> result;
  std::memcpy(result.data(), canonical.digest, result.size());
  return result;
}

ContentDigest CombineDigests(std::span<const ChunkDigest> chunks) {
  return DigestOf<ContentDigest>(std::as_bytes(chunks));
}

namespace internal {

std::string HexEncode(std::span<const std::byte> data) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(data.size() * 2);
  for (const std::byte byte : data) {
    text.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4]);
    text.push_back(kDigits[std::to_integer<unsigned>(byte) & 15]);
  }
  return text;
}

StatusOr<std::array<std::byte, 16>> HexDecode16(std::string_view text) {
  std::array<std::byte, 16> raw{};
  if (text.size() == 32) {
    bool valid = true;
    for (size_t i = 0; i < 16 && valid; ++i) {
      const int high = HexValue(text[2 * i]);
      const int low = HexValue(text[2 * i + 1]);
      valid = high >= 0 && low >= 0;
      raw[i] = static_cast<std::byte>((high << 4) | (low & 15));
    }
    if (valid) return raw;
  }
  return Error(ErrorCode::kInvalidRequest, "an id has 32 hexadecimal digits");
}

}  // namespace internal
}  // namespace warmset
