// zstd at its fastest level, for data with repetitions that bit-planes do not
// see: embeddings with equal rows, masks, integer tables.
#pragma once

#include "codec/codec.h"

namespace warmset::codec {

class ZstdCodec final : public Codec {
 public:
  CodecKind kind() const override { return CodecKind::kZstd; }
  std::string_view name() const override { return "zstd"; }
  bool Supports(DType dtype) const override { return StorageBytes(dtype) != 0; }

 private:
  class Buffers;

  std::unique_ptr<Scratch> NewScratch() const override;
  uint64_t BlockBound(uint64_t bytes) const override;
  StatusOr<uint64_t> EncodeBlock(std::span<const std::byte> elements, DType dtype,
                                 std::span<std::byte> block, Scratch& scratch) const override;
  Status DecodeBlock(std::span<const std::byte> block, DType dtype, const BlockTarget& target,
                     Scratch& scratch) const override;
};

}  // namespace warmset::codec
