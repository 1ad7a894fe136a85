#include "codec/raw_codec.h"

#include <cstring>

namespace warmset::codec {

std::unique_ptr<Codec::Scratch> RawCodec::NewScratch() const { return std::make_unique<Scratch>(); }

StatusOr<uint64_t> RawCodec::EncodeBlock(std::span<const std::byte> elements, DType,
                                         std::span<std::byte> block, Scratch&) const {
  std::memcpy(block.data(), elements.data(), elements.size());
  return elements.size();
}

Status RawCodec::DecodeBlock(std::span<const std::byte> block, DType, const BlockTarget& target,
                             Scratch&) const {
  if (block.size() < target.elements.size()) {
    return Error(ErrorCode::kCorruptedModel, "the block is too short");
  }
  std::memcpy(target.elements.data(), block.data(), target.elements.size());
  return OkStatus();
}

}  // namespace warmset::codec
