// Compressed streams whose checksums are not looked at: no decoder may leave
// its buffers, and all of them must agree on what is corrupt and what the
// elements are.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/digest.h"
#include "codec/codec.h"
#include "codec/layered/layered_codec.h"
#include "codec/synthetic_weights.h"
#include "fuzz/fuzzer.h"

using namespace warmset;
using codec::InstructionSet;

namespace {

constexpr std::array kDTypes = {DType::kBF16,   DType::kF16,    DType::kF32,
                                DType::kF8E4M3, DType::kF8E5M2, DType::kI8};
constexpr uint32_t kBlockElements = codec::kMinBlockElements;
constexpr size_t kMaxElements = 2 * kBlockElements;

// Puts a whole header before blocks that the fuzzer made: bytes 0 and 1 choose
// dtype and codec, 2 and 3 the number of elements, the rest is one block.
std::string StreamOf(const uint8_t* data, size_t size) {
  codec::StreamHeader header;
  header.dtype = kDTypes[data[0] % kDTypes.size()];
  header.codec = static_cast<codec::CodecKind>(data[1] % 3);
  header.block_elements = kBlockElements;
  header.elements = 1 + (data[2] + data[3] * 256U) % kBlockElements;
  header.block_count = 1;
  const uint64_t begin = codec::TableEnd(1);
  const uint64_t block = (std::max<uint64_t>(size - 4, 1) + codec::kBlockAlignment - 1) /
                         codec::kBlockAlignment * codec::kBlockAlignment;
  header.stream_bytes = begin + block + codec::kStreamPadding;
  std::string stream(header.stream_bytes, '\0');
  const codec::BlockRecord record{begin, 0};
  std::memcpy(stream.data(), &header, sizeof header);
  std::memcpy(stream.data() + sizeof header, &record, sizeof record);
  header.checksum = codec::HeaderChecksum(AsBytes(stream).first(begin));
  std::memcpy(stream.data(), &header, sizeof header);
  std::memcpy(stream.data() + begin, data + 4, size - 4);
  return stream;
}

// The elements, or nothing for a corrupt stream.
std::vector<std::byte> Decoded(const codec::Codec& codec, std::span<const std::byte> stream,
                               uint64_t bytes) {
  std::vector<std::byte> elements(bytes);
  const Status status = codec.Decode(stream, elements, {.verify_checksums = false});
  Promise(status.ok() || CodeOf(status) == ErrorCode::kCorruptedModel,
          "a stream is right or corrupt");
  if (!status.ok()) elements.clear();
  return elements;
}

void DecodeEverywhere(std::span<const std::byte> stream) {
  const auto view = codec::StreamView::Parse(stream);
  if (!view.ok() || view->header().elements > kMaxElements) return;
  const uint64_t bytes = view->decoded_bytes();
  if (view->header().codec != codec::CodecKind::kLayered) {
    Decoded(codec::GetCodec(view->header().codec), stream, bytes);
    return;
  }
  static const codec::LayeredCodec scalar(InstructionSet::kScalar);
  const auto expected = Decoded(scalar, stream, bytes);
  for (const InstructionSet set : {InstructionSet::kAvx2, InstructionSet::kAvx512}) {
    if (!codec::CanRun(set)) continue;
    Promise(Decoded(codec::LayeredCodec(set), stream, bytes) == expected,
            "all instruction sets decode the same");
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < kDTypes.size(); ++i) {
    const auto weights = codec::MakeSyntheticWeights(
        {.dtype = kDTypes[i], .cast_from = DType::kBF16, .rows = 3, .columns = 100});
    for (const auto kind :
         {codec::CodecKind::kRaw, codec::CodecKind::kLayered, codec::CodecKind::kZstd}) {
      const codec::Codec& codec = codec::GetCodec(kind);
      const codec::EncodeOptions options{.block_elements = kBlockElements};
      std::vector<std::byte> stream(codec.EncodedBound(kDTypes[i], weights.size(), options));
      const auto encoded = codec.Encode(weights, kDTypes[i], stream, options);
      Promise(encoded.ok(), "a seed is encoded");
      const auto view = codec::StreamView::Parse(std::span(stream).first(*encoded));
      const auto block = view->block(0);
      std::string seed = {static_cast<char>(i), static_cast<char>(kind), 43, 1};  // 300 elements
      seed.append(reinterpret_cast<const char*>(block.data()), block.size());
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  DecodeEverywhere(Bytes(data, size));
  if (size >= 4) DecodeEverywhere(AsBytes(StreamOf(data, size)));
  return 0;
}
