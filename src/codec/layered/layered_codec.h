// Layered bit-planes: floating-point and 8-bit weights near their entropy,
// decoded about as fast as memory can be copied. The idea is told in kernels.h,
// the stream in docs/formats/layered-bit-planes.md.
#pragma once

#include "codec/codec.h"
#include "codec/cpu.h"
#include "codec/layered/kernels.h"

namespace warmset::codec {

class LayeredCodec final : public Codec {
 public:
  // With the instructions that the processor has and WARMSET_CPU allows; if it
  // asks for others, encoding and decoding fail with kInvalidConfig.
  LayeredCodec();
  // REQUIRES: CanRun(set).
  explicit LayeredCodec(InstructionSet set) : kernels_(&KernelsFor(set)) {}

  CodecKind kind() const override { return CodecKind::kLayered; }
  std::string_view name() const override { return "layered"; }
  bool Supports(DType dtype) const override;

 private:
  class Buffers;

  std::unique_ptr<Scratch> NewScratch() const override;
  uint64_t BlockBound(uint64_t bytes) const override;
  StatusOr<uint64_t> EncodeBlock(std::span<const std::byte> elements, DType dtype,
                                 std::span<std::byte> block, Scratch& scratch) const override;
  Status DecodeBlock(std::span<const std::byte> block, DType dtype, const BlockTarget& target,
                     Scratch& scratch) const override;

  StatusOr<const Kernels*> kernels_;
};

}  // namespace warmset::codec
