#include "codec/layered/encode_block.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "codec/layered/block_format.h"
#include "codec/layered/choose_arrangement.h"
#include "codec/layered/shape.h"

namespace warmset::codec {
namespace {

// Decoding is worth it from this gain on.
bool IsWorthIt(uint64_t encoded, uint64_t raw) { return encoded + raw / 64 <= raw; }

uint64_t WriteRaw(std::span<const std::byte> elements, std::span<std::byte> block) {
  const BlockHeader header;
  std::memcpy(block.data(), &header, sizeof header);
  std::memcpy(block.data() + sizeof header, elements.data(), elements.size());
  return sizeof header + elements.size();
}

uint64_t WriteConstant(std::span<const std::byte> elements, size_t element_bytes,
                       std::span<std::byte> block) {
  BlockHeader header;
  header.mode = BlockMode::kConstant;
  std::memcpy(&header.constant, elements.data(), element_bytes);
  std::memcpy(block.data(), &header, sizeof header);
  return sizeof header;
}

bool IsConstant(std::span<const std::byte> elements, size_t element_bytes) {
  return std::memcmp(elements.data(), elements.data() + element_bytes,
                     elements.size() - element_bytes) == 0;
}

// Divides all elements; the last group is filled up with its last element.
size_t SplitAll(const Kernels& kernels, Arrangement arrangement,
                std::span<const std::byte> elements, SplitArguments arguments) {
  const ArrangementLayout layout = LayoutOf(arrangement);
  const size_t group_bytes = kGroupElements * layout.element_bytes;
  arguments.elements = reinterpret_cast<const uint8_t*>(elements.data());
  arguments.groups = elements.size() / group_bytes;
  size_t low_bits = kernels.split(arrangement, arguments);

  const auto rest = elements.subspan(arguments.groups * group_bytes);
  if (rest.empty()) return low_bits;
  std::array<uint8_t, kGroupElements * 4> last;
  std::memcpy(last.data(), rest.data(), rest.size());
  for (size_t i = rest.size(); i < group_bytes; ++i) last[i] = last[i - layout.element_bytes];
  arguments.symbols += arguments.groups * kGroupElements;
  arguments.bytes += arguments.groups * layout.group_bytes;
  arguments.planes += arguments.groups * layout.group_planes * 8;
  arguments.low_bits += low_bits;
  arguments.elements = last.data();
  arguments.groups = 1;
  return low_bits + kernels.split(arrangement, arguments);
}

// A quarter of the symbols: 16 of each group, others in the next.
Histogram SampleSymbols(const uint8_t* symbols, size_t groups) {
  // Two histograms, because counting one value twice in a row has to wait.
  Histogram even{};
  Histogram odd{};
  for (size_t group = 0; group < groups; ++group) {
    const uint8_t* const from = symbols + group * kGroupElements + group % 4 * 16;
    for (size_t i = 0; i < 16; i += 2) {
      ++even[from[i]];
      ++odd[from[i + 1]];
    }
  }
  for (size_t i = 0; i < even.size(); ++i) even[i] += odd[i];
  return even;
}

// One block on its way through the steps of EncodeLayered.
class LayeredBlock {
 public:
  LayeredBlock(const Kernels& kernels, EncodeScratch& scratch, size_t groups)
      : kernels_(kernels), scratch_(scratch), groups_(groups) {}

  BlockHeader header;

  // A table of ranks for each kTableElements; returns what they make of a sample.
  RankCounts MakeTables() {
    const size_t alphabet = size_t{1} << LayoutOf(header.arrangement).symbol_bits;
    RankCounts counts;
    for (size_t group = 0; group < groups_; group += kTableGroups) {
      const Histogram histogram = SampleSymbols(SymbolsOf(group), GroupsFrom(group));
      tables_.push_back(MostFrequent(histogram, alphabet));
      CountRanks(histogram, tables_.back(), counts);
    }
    return counts;
  }

  void SetShape(const Shape& shape) {
    for (size_t i = 0; i < shape.widths.size() && shape.widths[i] != 0; ++i) {
      header.widths[i] = shape.widths[i];
      ++header.layer_count;
    }
  }

  // Turns symbols into ranks and those into layers, all in scratch.
  void EncodeLayers() {
    const unsigned max_rank = MaxRank(header);
    size_t verbatim = 0;
    for (size_t group = 0; group < groups_; group += kTableGroups) {
      const auto rank_of = InverseOf(tables_[group / kTableGroups], max_rank);
      verbatim +=
          kernels_.rank(SymbolsOf(group), GroupsFrom(group), rank_of.data(),
                        static_cast<uint8_t>(max_rank), scratch_.verbatim.data() + verbatim);
    }
    uint8_t* const ranks = scratch_.symbols.data();
    size_t elements = groups_ * kGroupElements;
    for (size_t i = 0; i < header.layer_count; ++i) {
      const size_t words = WordsFor(elements);
      elements = kernels_.encode_layer(header.widths[i], ranks, words,
                                       scratch_.layers.data() + layer_bytes_);
      std::memset(ranks + elements, 0, kArrayPadding);
      layer_bytes_ += words * header.widths[i] * 8;
      header.escapes[i] = static_cast<uint32_t>(elements);
    }
  }

  // Puts header, tables and what is in scratch beside the split sections.
  void Write(const BlockSections& sections, uint8_t* block) const {
    std::memcpy(block, &header, sizeof header);
    uint8_t* table = block + sections.rank_tables;
    for (const RankTable& ranks : tables_) {
      std::memcpy(table, ranks.symbols.data(), kTableEntries);
      table += kTableEntries;
    }
    std::memcpy(block + sections.layers[0], scratch_.layers.data(), layer_bytes_);
    std::memset(block + sections.verbatim, 0, sections.end - sections.verbatim);
    std::memcpy(block + sections.verbatim, scratch_.verbatim.data(),
                header.escapes[header.layer_count - 1U]);
    std::memcpy(block + sections.low_bits, scratch_.low_bits.data(), header.low_bits);
  }

 private:
  uint8_t* SymbolsOf(size_t group) { return scratch_.symbols.data() + group * kGroupElements; }
  // The groups that share a table with this one, which is the first of them.
  size_t GroupsFrom(size_t group) const { return std::min(kTableGroups, groups_ - group); }

  const Kernels& kernels_;
  EncodeScratch& scratch_;
  size_t groups_;
  std::vector<RankTable> tables_;
  size_t layer_bytes_ = 0;
};

// Nothing where the layers are not worth their decoding.
std::optional<uint64_t> EncodeLayered(const Kernels& kernels, std::span<const std::byte> elements,
                                      DType dtype, std::span<std::byte> block,
                                      EncodeScratch& scratch) {
  const ArrangementChoice choice = ChooseArrangement(dtype, elements);
  const size_t count = elements.size() / StorageBytes(dtype);
  const size_t groups = GroupsFor(count);
  LayeredBlock layered(kernels, scratch, groups);
  layered.header.mode = BlockMode::kLayered;
  layered.header.arrangement = choice.arrangement;
  layered.header.zero_point = choice.zero_point;
  BlockSections sections = SectionsOf(layered.header, groups);
  if (sections.end > block.size()) return std::nullopt;  // some elements of one group

  auto* const out = reinterpret_cast<uint8_t*>(block.data());
  SplitArguments split;
  split.zero_point = choice.zero_point;
  split.symbols = scratch.symbols.data();
  split.bytes = out + sections.bytes;
  split.planes = out + sections.planes;
  split.low_bits = scratch.low_bits.data();
  layered.header.low_bits =
      static_cast<uint32_t>(SplitAll(kernels, choice.arrangement, elements, split));

  const RankCounts counts = layered.MakeTables();
  const ShapeChoice shape = ChooseShape(counts);
  const uint64_t estimate = sections.end + layered.header.low_bits +
                            shape.bits * groups * kGroupElements / counts.total / 8;
  if (!IsWorthIt(estimate, elements.size())) return std::nullopt;

  layered.SetShape(shape.shape);
  layered.EncodeLayers();
  sections = SectionsOf(layered.header, groups);
  if (!IsWorthIt(sections.end, elements.size())) return std::nullopt;
  layered.Write(sections, out);
  return sections.end;
}

}  // namespace

uint64_t LayeredBlockBound(uint64_t bytes) { return sizeof(BlockHeader) + bytes; }

uint64_t EncodeLayeredBlock(const Kernels& kernels, std::span<const std::byte> elements,
                            DType dtype, std::span<std::byte> block, EncodeScratch& scratch) {
  const size_t element_bytes = StorageBytes(dtype);
  if (IsConstant(elements, element_bytes)) return WriteConstant(elements, element_bytes, block);
  const auto bytes = EncodeLayered(kernels, elements, dtype, block, scratch);
  return bytes.has_value() ? *bytes : WriteRaw(elements, block);
}

}  // namespace warmset::codec
