#include "codec/layered/decode_block.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "codec/checksum.h"
#include "codec/layered/block_format.h"
#include "fmt/format.h"

namespace warmset::codec {
namespace {

Status Corrupted(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

Status DecodeRaw(std::span<const std::byte> block, std::span<std::byte> elements) {
  const auto payload = block.subspan(sizeof(BlockHeader));
  if (payload.size() < elements.size()) return Corrupted("the block is too short");
  std::memcpy(elements.data(), payload.data(), elements.size());
  return OkStatus();
}

void FillConstant(const BlockHeader& header, size_t element_bytes, std::span<std::byte> elements) {
  std::memcpy(elements.data(), &header.constant, element_bytes);
  for (size_t filled = element_bytes; filled < elements.size();) {
    const size_t more = std::min(filled, elements.size() - filled);
    std::memcpy(elements.data() + filled, elements.data(), more);
    filled += more;
  }
}

// Decodes the layers below layer 0 into scratch.survivors, the last one first.
// What escapes from a layer is as many elements as the next one has, or else
// the block is corrupt; the arrays have room for either.
Status DecodeInnerLayers(const Kernels& kernels, const BlockHeader& header,
                         const BlockSections& sections, const uint8_t* block,
                         DecodeScratch& scratch) {
  size_t layer = header.layer_count - 1U;
  std::fill_n(scratch.survivors->bytes, header.escapes[layer] + kArrayPadding, uint8_t{0});
  for (; layer > 0; --layer) {
    const size_t escapes = kernels.decode_layer(
        header.widths[layer], block + sections.layers[layer], WordsFor(header.escapes[layer - 1]),
        scratch.survivors->bytes, scratch.ranks->bytes);
    if (escapes != header.escapes[layer]) {
      return Corrupted(fmt::format("{} elements escape from layer {}, its header says {}", escapes,
                                   layer, header.escapes[layer]));
    }
    std::swap(scratch.ranks, scratch.survivors);
  }
  return OkStatus();
}

Status DecodeLayered(const Kernels& kernels, const BlockHeader& header, const uint8_t* block,
                     size_t groups, const DecodeTarget& target, DecodeScratch& scratch) {
  const BlockSections sections = SectionsOf(header, groups);
  RETURN_IF_ERROR(DecodeInnerLayers(kernels, header, sections, block, scratch));

  const size_t whole_groups = groups * kGroupElements * LayoutOf(header.arrangement).element_bytes;
  const bool is_whole = target.elements.size() == whole_groups;
  if (!is_whole) scratch.elements.resize(whole_groups);
  std::byte* const elements = is_whole ? target.elements.data() : scratch.elements.data();

  JoinArguments join;
  join.groups = groups;
  join.zero_point = header.zero_point;
  join.max_rank = static_cast<uint8_t>(MaxRank(header));
  join.rank_tables = block + sections.rank_tables;
  join.layer = block + sections.layers[0];
  join.survivors = scratch.survivors->bytes;
  join.verbatim = block + sections.verbatim;
  join.verbatim_count = header.escapes[header.layer_count - 1U];
  join.low_bits = block + sections.low_bits;
  join.low_bits_count = header.low_bits;
  join.bytes = block + sections.bytes;
  join.planes = block + sections.planes;
  join.elements = reinterpret_cast<uint8_t*>(elements);
  join.non_temporal =
      target.non_temporal && is_whole && reinterpret_cast<uintptr_t>(elements) % 64 == 0;
  ChecksumState next_checksum;
  join.next = reinterpret_cast<const uint8_t*>(target.next_block.data());
  join.next_bytes = target.next_block.size();
  join.next_checksum = &next_checksum;

  const JoinResult expected{header.escapes[0], join.verbatim_count, join.low_bits_count, false};
  if (kernels.join(header.arrangement, header.widths[0], join) != expected) {
    return Corrupted("layer 0 does not fit the sections that follow it");
  }
  if (target.next_checksum != nullptr) *target.next_checksum = FinishChecksum(next_checksum);
  if (!is_whole) std::memcpy(target.elements.data(), elements, target.elements.size());
  return OkStatus();
}

}  // namespace

Status DecodeLayeredBlock(const Kernels& kernels, std::span<const std::byte> block, DType dtype,
                          const DecodeTarget& target, DecodeScratch& scratch) {
  const size_t element_bytes = StorageBytes(dtype);
  const size_t groups = GroupsFor(target.elements.size() / element_bytes);
  ASSIGN_OR_RETURN(const BlockHeader header, ParseBlock(block, dtype, groups));
  switch (header.mode) {
    case BlockMode::kRaw:
      return DecodeRaw(block, target.elements);
    case BlockMode::kConstant:
      FillConstant(header, element_bytes, target.elements);
      return OkStatus();
    case BlockMode::kLayered:
      break;
  }
  return DecodeLayered(kernels, header, reinterpret_cast<const uint8_t*>(block.data()), groups,
                       target, scratch);
}

}  // namespace warmset::codec
