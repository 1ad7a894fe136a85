#include "codec_bench.h"

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "base/strong.h"
#include "codec/codec.h"
#include "codec/layered/layered_codec.h"
#include "codec/synthetic_weights.h"
#include "fmt/format.h"
#include "inspect/inspect.h"
#include "json.h"
#include "os/file.h"
#include "os/mapping.h"
#include "tensor/tensor_index.h"
#include "samples.h"

namespace warmset::bench {
namespace {

using codec::Codec;
using codec::InstructionSet;

// Memory in huge pages that has been touched, as entries have it.
class Buffer {
 public:
  explicit Buffer(uint64_t bytes) : bytes_(bytes) {
    constexpr uint64_t kHugePage = 2 * kMiB;
    const uint64_t room = AlignUp(std::max<uint64_t>(bytes, 1), kHugePage);
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kHugePage, room)));
    if (memory_ == nullptr) throw std::bad_alloc();
    ::madvise(memory_.get(), room, MADV_HUGEPAGE);
    std::memset(memory_.get(), 1, room);
  }

  std::span<std::byte> span() { return {memory_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  uint64_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
};

double ThreadSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <typename Function>
double SecondsOf(Function function) {
  const double start = ThreadSeconds();
  function();
  return ThreadSeconds() - start;
}

// One way to hold the data: its stream, and how long its rounds took.
struct Contender {
  std::string name;
  const Codec* codec;
  uint64_t stream_bytes = 0;
  Buffer stream;
  Samples encode;
  Samples decode;
  Samples decode_unverified;
};

Status RunRound(Contender& contender, DType dtype, std::span<const std::byte> elements,
                std::span<std::byte> decoded) {
  const Codec& codec = *contender.codec;
  StatusOr<uint64_t> bytes = uint64_t{0};
  contender.encode.Add(
      SecondsOf([&] { bytes = codec.Encode(elements, dtype, contender.stream.span()); }));
  RETURN_IF_ERROR(bytes.status());
  contender.stream_bytes = *bytes;
  const auto stream = contender.stream.span().first(*bytes);
  Status status;
  contender.decode_unverified.Add(
      SecondsOf([&] { status = codec.Decode(stream, decoded, {.verify_checksums = false}); }));
  RETURN_IF_ERROR(status);
  contender.decode.Add(SecondsOf([&] { status = codec.Decode(stream, decoded); }));
  RETURN_IF_ERROR(status);
  if (!std::ranges::equal(decoded, elements)) {
    return Error(ErrorCode::kCorruptedModel, contender.name + " lost data");
  }
  return OkStatus();
}

// zstd, and the layered codec with each instruction set of this machine.
std::vector<Contender> ContendersFor(DType dtype, uint64_t bytes) {
  static const codec::LayeredCodec avx2(InstructionSet::kAvx2);
  static const codec::LayeredCodec avx512(InstructionSet::kAvx512);
  std::vector<Contender> contenders;
  const auto add = [&](std::string name, const Codec& codec) {
    contenders.push_back({.name = std::move(name),
                          .codec = &codec,
                          .stream = Buffer(codec.EncodedBound(dtype, bytes)),
                          .encode = {},
                          .decode = {},
                          .decode_unverified = {}});
  };
  if (avx512.Supports(dtype)) {
    if (codec::CanRun(InstructionSet::kAvx512)) add("layered_avx512", avx512);
    if (codec::CanRun(InstructionSet::kAvx2)) add("layered_avx2", avx2);
  }
  add("zstd", codec::GetCodec(codec::CodecKind::kZstd));
  return contenders;
}

StatusOr<Json> Measure(DType dtype, std::span<const std::byte> data, unsigned rounds) {
  Buffer elements(data.size());
  Buffer decoded(data.size());
  std::memcpy(elements.span().data(), data.data(), data.size());
  std::vector<Contender> contenders = ContendersFor(dtype, data.size());
  Samples copy;
  for (unsigned round = 0; round < rounds; ++round) {
    copy.Add(SecondsOf(
        [&] { std::memcpy(decoded.span().data(), elements.span().data(), data.size()); }));
    for (Contender& contender : contenders) {
      // zstd takes most of the time and needs the least precision.
      if (contender.name == "zstd" && round % 4 != 0) continue;
      RETURN_IF_ERROR(RunRound(contender, dtype, elements.span(), decoded.span()));
    }
  }
  const auto bytes = static_cast<double>(data.size());
  Json json;
  json.Add("bytes", data.size()).Add("memcpy_gb_s", bytes / copy.Median() / 1e9);
  for (const Contender& contender : contenders) {
    Json figures;
    figures.Add("ratio", bytes / static_cast<double>(contender.stream_bytes));
    figures.Add("encode_gb_s", bytes / contender.encode.Median() / 1e9);
    figures.Add("decode_gb_s", bytes / contender.decode.Median() / 1e9);
    figures.Add("decode_by_memcpy", copy.Median() / contender.decode.Median());
    figures.Add("unverified_decode_by_memcpy",
                copy.Median() / contender.decode_unverified.Median());
    json.Add(contender.name, figures);
  }
  return json;
}

StatusOr<Json> MeasureSynthetic(const CodecOptions& options) {
  struct Kind {
    std::string_view name;
    DType dtype;
    DType cast_from;
  };
  constexpr Kind kKinds[] = {{"bf16", DType::kBF16, DType::kInvalid},
                             {"fp32", DType::kF32, DType::kInvalid},
                             {"fp16", DType::kF16, DType::kInvalid},
                             {"fp32_from_bf16", DType::kF32, DType::kBF16},
                             {"fp16_from_bf16", DType::kF16, DType::kBF16},
                             {"fp8_e4m3_by_row", DType::kF8E4M3, DType::kInvalid},
                             {"fp8_e5m2_by_row", DType::kF8E5M2, DType::kInvalid},
                             {"int8_by_column", DType::kI8, DType::kInvalid}};
  constexpr uint64_t kColumns = 4096;
  Json json;
  for (const Kind& kind : kKinds) {
    const uint64_t row_bytes = kColumns * codec::StorageBytes(kind.dtype);
    const auto data =
        codec::MakeSyntheticWeights({.dtype = kind.dtype,
                                     .cast_from = kind.cast_from,
                                     .rows = std::max<uint64_t>(1, options.mib * kMiB / row_bytes),
                                     .columns = kColumns,
                                     .seed = options.seed});
    ASSIGN_OR_RETURN(const Json figures, Measure(kind.dtype, data, options.rounds));
    json.Add(kind.name, figures);
  }
  return json;
}

StatusOr<Json> MeasureFile(const CodecOptions& options) {
  ASSIGN_OR_RETURN(const os::UniqueFd file, os::OpenForRead(options.file));
  ASSIGN_OR_RETURN(const os::FileIdentity identity, os::Identify(file.get()));
  ASSIGN_OR_RETURN(const std::string encoded, InspectFile(file.get(), options.file));
  ASSIGN_OR_RETURN(const Manifest manifest, DecodeManifest(encoded));
  ASSIGN_OR_RETURN(const ComponentManifest whole, WholeFileComponent(manifest, 0));
  ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(whole.tensor_index)));
  ASSIGN_OR_RETURN(
      const os::Mapping mapping,
      os::Mapping::Create(file.get(), identity.size, os::Mapping::Kind::kSharedReadOnly));
  // A component's tensors of one dtype, one after another.
  std::map<DType, std::vector<std::byte>> by_dtype;
  for (uint64_t i = 0; i < index.tensor_count(); ++i) {
    const TensorEntry tensor = index.tensor(i);
    const auto bytes = mapping.span().subspan(tensor.offset, tensor.bytes);
    auto& data = by_dtype[tensor.dtype];
    data.insert(data.end(), bytes.begin(), bytes.end());
  }
  Json json;
  for (const auto& [dtype, data] : by_dtype) {
    if (data.empty()) continue;
    ASSIGN_OR_RETURN(const Json figures, Measure(dtype, data, options.rounds));
    json.Add(DTypeName(dtype), figures);
  }
  return json;
}

}  // namespace

Status RunCodec(const CodecOptions& options) {
  ASSIGN_OR_RETURN(const Json figures,
                   options.file.empty() ? MeasureSynthetic(options) : MeasureFile(options));
  Json json;
  json.Add("benchmark", "codec").Add("rounds", options.rounds).Add("seed", options.seed);
  json.Add("clock", "thread_cpu").Add("data", options.file.empty() ? "synthetic" : options.file);
  json.Add("dtypes", figures);
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench
