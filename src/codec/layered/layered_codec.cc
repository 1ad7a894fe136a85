#include "codec/layered/layered_codec.h"

#include <optional>

#include "codec/layered/decode_block.h"
#include "codec/layered/encode_block.h"

namespace warmset::codec {
namespace {

StatusOr<const Kernels*> SelectKernels() {
  ASSIGN_OR_RETURN(const InstructionSet set, SelectedInstructionSet());
  return &KernelsFor(set);
}

}  // namespace

// A thread either encodes or decodes.
class LayeredCodec::Buffers final : public Codec::Scratch {
 public:
  EncodeScratch& encode() { return encode_.has_value() ? *encode_ : encode_.emplace(); }
  DecodeScratch& decode() { return decode_.has_value() ? *decode_ : decode_.emplace(); }

 private:
  std::optional<EncodeScratch> encode_;
  std::optional<DecodeScratch> decode_;
};

LayeredCodec::LayeredCodec() : kernels_(SelectKernels()) {}

bool LayeredCodec::Supports(DType dtype) const {
  switch (dtype) {
    case DType::kBF16:
    case DType::kF16:
    case DType::kF32:
    case DType::kF8E4M3:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
    case DType::kI8:
    case DType::kU8:
      return true;
    default:
      return false;
  }
}

std::unique_ptr<Codec::Scratch> LayeredCodec::NewScratch() const {
  return std::make_unique<Buffers>();
}

uint64_t LayeredCodec::BlockBound(uint64_t bytes) const { return LayeredBlockBound(bytes); }

StatusOr<uint64_t> LayeredCodec::EncodeBlock(std::span<const std::byte> elements, DType dtype,
                                             std::span<std::byte> block, Scratch& scratch) const {
  ASSIGN_OR_RETURN(const Kernels* const kernels, kernels_);
  return EncodeLayeredBlock(*kernels, elements, dtype, block,
                            static_cast<Buffers&>(scratch).encode());
}

Status LayeredCodec::DecodeBlock(std::span<const std::byte> block, DType dtype,
                                 const BlockTarget& target, Scratch& scratch) const {
  ASSIGN_OR_RETURN(const Kernels* const kernels, kernels_);
  return DecodeLayeredBlock(
      *kernels, block, dtype,
      {target.elements, target.next_block, target.next_checksum, target.non_temporal},
      static_cast<Buffers&>(scratch).decode());
}

}  // namespace warmset::codec
