#include "codec/layered/block_format.h"

#include <cstring>

#include "base/strong.h"

namespace warmset::codec {
namespace {

Status Corrupted(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

Status CheckLayers(const BlockHeader& header, size_t groups) {
  if (header.layer_count == 0 || header.layer_count > kMaxLayers) {
    return Corrupted("wrong number of layers");
  }
  uint64_t elements = groups * kGroupElements;
  for (size_t i = 0; i < kMaxLayers; ++i) {
    const bool used = i < header.layer_count;
    if (used ? header.widths[i] == 0 || header.widths[i] > kMaxLayerWidth
             : header.widths[i] != 0 || header.escapes[i] != 0) {
      return Corrupted("a layer's width is wrong");
    }
    if (used && header.escapes[i] > elements) return Corrupted("too many elements escape");
    elements = header.escapes[i];
  }
  if (MaxRank(header) > kMaxRank) return Corrupted("ranks exceed their table");
  if (header.low_bits > groups * kGroupElements ||
      (header.low_bits != 0 && header.arrangement != Arrangement::kF16ShortMantissa)) {
    return Corrupted("too many low bits");
  }
  return OkStatus();
}

// Whether all bytes are below 2^bits.
bool AllBelow(std::span<const std::byte> bytes, unsigned bits) {
  auto all = std::byte{0};
  for (const std::byte byte : bytes) all |= byte;
  return std::to_integer<unsigned>(all) >> bits == 0;
}

}  // namespace

unsigned MaxRank(const BlockHeader& header) {
  unsigned rank = 0;
  for (size_t i = 0; i < header.layer_count; ++i) rank += (1U << header.widths[i]) - 1;
  return rank;
}

BlockSections SectionsOf(const BlockHeader& header, size_t groups) {
  const ArrangementLayout layout = LayoutOf(header.arrangement);
  BlockSections sections;
  sections.rank_tables = sizeof(BlockHeader);
  sections.bytes =
      sections.rank_tables + (groups + kTableGroups - 1) / kTableGroups * kTableEntries;
  sections.planes = sections.bytes + groups * layout.group_bytes;
  size_t end = sections.planes + groups * layout.group_planes * 8;
  size_t elements = groups * kGroupElements;
  for (size_t i = 0; i < header.layer_count; ++i) {
    sections.layers[i] = end;
    end += WordsFor(elements) * header.widths[i] * 8;
    elements = header.escapes[i];
  }
  const size_t verbatim = header.layer_count == 0 ? 0 : elements;
  sections.verbatim = end;
  sections.low_bits = sections.verbatim + AlignUp(verbatim, 8);
  sections.end = sections.low_bits + AlignUp(header.low_bits, 8);
  return sections;
}

bool Arranges(Arrangement arrangement, DType dtype) {
  switch (arrangement) {
    case Arrangement::kBF16:
      return dtype == DType::kBF16;
    case Arrangement::kF32:
    case Arrangement::kF32HighHalf:
      return dtype == DType::kF32;
    case Arrangement::kF16:
    case Arrangement::kF16ShortMantissa:
      return dtype == DType::kF16;
    case Arrangement::kF8E4M3:
      return dtype == DType::kF8E4M3 || dtype == DType::kF8E4M3FNUZ;
    case Arrangement::kF8E5M2:
      return dtype == DType::kF8E5M2 || dtype == DType::kF8E5M2FNUZ;
    case Arrangement::kInteger1:
    case Arrangement::kInteger2:
    case Arrangement::kInteger3:
    case Arrangement::kInteger4:
      return dtype == DType::kI8 || dtype == DType::kU8;
  }
  return false;
}

StatusOr<BlockHeader> ParseBlock(std::span<const std::byte> block, DType dtype, size_t groups) {
  BlockHeader header;
  if (block.size() < sizeof header) return Corrupted("the block is too short");
  std::memcpy(&header, block.data(), sizeof header);
  if (header.zero != 0) return Corrupted("reserved fields are not zero");
  if (header.mode == BlockMode::kRaw || header.mode == BlockMode::kConstant) return header;
  if (header.mode != BlockMode::kLayered) return Corrupted("unknown kind of block");
  if (!Arranges(header.arrangement, dtype)) return Corrupted("the arrangement is of another dtype");
  RETURN_IF_ERROR(CheckLayers(header, groups));

  const BlockSections sections = SectionsOf(header, groups);
  if (sections.end > block.size()) return Corrupted("a section leaves the block");
  const unsigned symbol_bits = LayoutOf(header.arrangement).symbol_bits;
  const uint32_t verbatim = header.escapes[header.layer_count - 1U];
  if (!AllBelow(block.subspan(sections.rank_tables, sections.bytes - sections.rank_tables),
                symbol_bits) ||
      !AllBelow(block.subspan(sections.verbatim, verbatim), symbol_bits)) {
    return Corrupted("a symbol has too many bits");
  }
  if (!AllBelow(block.subspan(sections.low_bits, header.low_bits), 3)) {
    return Corrupted("low bits have too many bits");
  }
  return header;
}

}  // namespace warmset::codec
