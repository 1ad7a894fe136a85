#include "codec/zstd_codec.h"

#include <zstd.h>

#include <cstring>

#include "fmt/format.h"

namespace warmset::codec {
namespace {

constexpr int kLevel = 1;

// A block is the bytes of its zstd frame, then the frame.
constexpr uint64_t kLengthBytes = sizeof(uint64_t);

}  // namespace

class ZstdCodec::Buffers final : public Codec::Scratch {
 public:
  // Created at first use; null when memory is exhausted.
  ZSTD_CCtx* encoder() {
    if (encoder_ == nullptr) encoder_.reset(ZSTD_createCCtx());
    return encoder_.get();
  }
  ZSTD_DCtx* decoder() {
    if (decoder_ == nullptr) decoder_.reset(ZSTD_createDCtx());
    return decoder_.get();
  }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> encoder_{nullptr, ZSTD_freeCCtx};
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> decoder_{nullptr, ZSTD_freeDCtx};
};

std::unique_ptr<Codec::Scratch> ZstdCodec::NewScratch() const {
  return std::make_unique<Buffers>();
}

uint64_t ZstdCodec::BlockBound(uint64_t bytes) const {
  return kLengthBytes + ZSTD_compressBound(bytes);
}

StatusOr<uint64_t> ZstdCodec::EncodeBlock(std::span<const std::byte> elements, DType,
                                          std::span<std::byte> block, Scratch& scratch) const {
  ZSTD_CCtx* const context = static_cast<Buffers&>(scratch).encoder();
  if (context == nullptr) return Error(ErrorCode::kRamLimitExceeded, "zstd got no memory");
  const uint64_t bytes =
      ZSTD_compressCCtx(context, block.data() + kLengthBytes, block.size() - kLengthBytes,
                        elements.data(), elements.size(), kLevel);
  if (ZSTD_isError(bytes)) {
    return Error(ErrorCode::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(bytes)));
  }
  std::memcpy(block.data(), &bytes, kLengthBytes);
  return kLengthBytes + bytes;
}

Status ZstdCodec::DecodeBlock(std::span<const std::byte> block, DType, const BlockTarget& target,
                              Scratch& scratch) const {
  uint64_t bytes = 0;
  std::memcpy(&bytes, block.data(), kLengthBytes);  // a block has at least 64 bytes
  if (bytes > block.size() - kLengthBytes) {
    return Error(ErrorCode::kCorruptedModel, "the zstd frame leaves its block");
  }
  ZSTD_DCtx* const context = static_cast<Buffers&>(scratch).decoder();
  if (context == nullptr) return Error(ErrorCode::kRamLimitExceeded, "zstd got no memory");
  const size_t decoded = ZSTD_decompressDCtx(
      context, target.elements.data(), target.elements.size(), block.data() + kLengthBytes, bytes);
  if (ZSTD_isError(decoded)) {
    return Error(ErrorCode::kCorruptedModel, fmt::format("zstd: {}", ZSTD_getErrorName(decoded)));
  }
  if (decoded != target.elements.size()) {
    return Error(ErrorCode::kCorruptedModel, "the zstd frame is too short");
  }
  return OkStatus();
}

}  // namespace warmset::codec
