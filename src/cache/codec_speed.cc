#include "cache/codec_speed.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "codec/codec.h"
#include "codec/synthetic_weights.h"

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
  std::vector<std::byte> stream(codec.EncodedBound(DType::kBF16, weights.size()));
  std::vector<std::byte> decoded(weights.size());
  uint64_t size = 0;
  ASSIGN_OR_RETURN(const double encode, BestSeconds([&]() -> Status {
    ASSIGN_OR_RETURN(size, codec.Encode(weights, DType::kBF16, stream));
    return OkStatus();
  }));
  ASSIGN_OR_RETURN(const double decode, BestSeconds([&] {
    return codec.Decode(std::span(stream).first(size), decoded, {.threads = 2});
  }));
  const auto bytes = static_cast<double>(weights.size());
  return CodecSpeed{.encode_bytes_per_second = bytes / encode,
                    .decode_bytes_per_second = bytes / decode};
}

}  // namespace warmset
