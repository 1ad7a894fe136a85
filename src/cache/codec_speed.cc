#include "cache/codec_speed.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "codec/codec.h"
#include "codec/synthetic_weights.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

constexpr int kCopies = 8;  // of a MiB: more than caches close to the processor hold
constexpr int kRounds = 3;

template <typename Work>
StatusOr<double> BestSeconds(const Work& work) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto started = std::chrono::steady_clock::now();
    RETURN_IF_ERROR(work());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    best = round == 0 ? took.count() : std::min(best, took.count());
  }
  return best;
}

std::vector<std::byte> SomeWeights() {
  const std::vector<std::byte> piece =
      codec::MakeSyntheticWeights({.dtype = DType::kBF16, .rows = 512, .columns = 1024});
  std::vector<std::byte> weights;
  for (int i = 0; i < kCopies; ++i) weights.insert(weights.end(), piece.begin(), piece.end());
  return weights;
}

}  // namespace

StatusOr<CodecSpeed> MeasureCodecSpeed() {
  const codec::Codec& codec = codec::GetCodec(codec::CodecKind::kLayered);
  const std::vector<std::byte> weights = SomeWeights();
  const uint64_t bound = codec.EncodedBound(DType::kBF16, weights.size());
  std::vector<std::byte> stream;
  std::vector<std::byte> decoded(weights.size());
  ASSIGN_OR_RETURN(const double encode, BestSeconds([&]() -> Status {
    stream.assign(bound, std::byte{0});
    ASSIGN_OR_RETURN(const uint64_t size, codec.Encode(weights, DType::kBF16, stream));
    stream.resize(size);
    return codec.Decode(stream, decoded, {.stores = codec::Stores::kCached});  // the check
  }));
  ASSIGN_OR_RETURN(const double decode, BestSeconds([&]() -> Status {
    ASSIGN_OR_RETURN(const os::MemoryFile fresh,
                     os::MemoryFile::Create("warmset-measure", weights.size()));
    return codec.Decode(stream, fresh.writable().span());
  }));
  const auto bytes = static_cast<double>(weights.size());
  return CodecSpeed{.encode_bytes_per_second = bytes / encode,
                    .decode_bytes_per_second = bytes / decode};
}

}  // namespace warmset
