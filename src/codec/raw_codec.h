// Elements as they are: what the other codecs are compared with, and the choice
// for data that none of them makes smaller.
#pragma once

#include "codec/codec.h"

namespace warmset::codec {

class RawCodec final : public Codec {
 public:
  CodecKind kind() const override { return CodecKind::kRaw; }
  std::string_view name() const override { return "raw"; }
  bool Supports(DType dtype) const override { return StorageBytes(dtype) != 0; }

 private:
  std::unique_ptr<Scratch> NewScratch() const override;
  uint64_t BlockBound(uint64_t bytes) const override { return bytes; }
  StatusOr<uint64_t> EncodeBlock(std::span<const std::byte> elements, DType dtype,
                                 std::span<std::byte> block, Scratch& scratch) const override;
  Status DecodeBlock(std::span<const std::byte> block, DType dtype, const BlockTarget& target,
                     Scratch& scratch) const override;
};

}  // namespace warmset::codec
