#include "catalog/compress.h"

#include <zstd.h>

#include "base/strong.h"

namespace warmset {
namespace {

constexpr int kLevel = 1;
// Larger than any manifest: what a damaged frame claims is not believed.
constexpr uint64_t kMaxContent = 4 * kGiB;

}  // namespace

std::string Compress(std::string_view content) {
  std::string frame(ZSTD_compressBound(content.size()), '\0');
  // Can't fail: the room is what the library asks for.
  const size_t size =
      ZSTD_compress(frame.data(), frame.size(), content.data(), content.size(), kLevel);
  frame.resize(size);
  return frame;
}

StatusOr<std::string> Decompress(std::span<const std::byte> frame) {
  const auto damaged = [] {
    return Error(ErrorCode::kCorruptedModel, "catalog: a manifest can't be unpacked");
  };
  const uint64_t size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  // A byte of a frame never stands for more than this many.
  constexpr uint64_t kMaxRatio = 128 * kKiB;
  if (size > kMaxContent || size / kMaxRatio > frame.size()) return damaged();
  std::string content(size, '\0');
  const size_t got = ZSTD_decompress(content.data(), size, frame.data(), frame.size());
  if (ZSTD_isError(got) != 0 || got != size) return damaged();
  return content;
}

}  // namespace warmset
