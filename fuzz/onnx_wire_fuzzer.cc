// Any bytes, walked as nested protobuf messages.
#include "fuzz/fuzzer.h"
#include "inspect/onnx/test_onnx.h"
#include "inspect/onnx/wire.h"

using namespace warmset;

namespace {

constexpr int kMaxDepth = 20;

void Walk(WireSource& source, WireSpan span, int depth) {
  WireMessage message(source, span);
  uint64_t end = span.begin;  // of the last field; of a number's field, its begin
  while (message.Next()) {
    const WireField& field = message.field();
    Promise(field.offset >= end, "fields follow each other");
    end = field.offset;
    if (field.type == WireType::kVarint) continue;
    Promise(field.content.begin > field.offset && field.content.begin <= field.content.end &&
                field.content.end <= span.end,
            "what a field holds lies within its message");
    end = field.content.end;
    if (field.type != WireType::kBytes || depth == kMaxDepth) continue;
    Walk(source, field.content, depth + 1);
    std::string text;
    Promise(ReadContent(source, field.content, text).ok() && text.size() == field.content.size(),
            "content can be read whole");
    std::vector<uint64_t> values;
    const auto count = CountPackedVarints(source, field.content);
    const Status read = ReadPackedVarints(source, field.content, SIZE_MAX, values);
    Promise(!read.ok() || (count.ok() && *count == values.size()),
            "numbers that can be read are counted as many");
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  using namespace onnx_test;
  return {AddModel(RawTensor("w", kFloat, {2}, 8)), Number(1, UINT64_MAX) + Float(2, 1),
          onnx_test::Bytes(7, Varint(1) + Varint(300) + Varint(UINT64_MAX))};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemorySource file(Bytes(data, size));
  WireSource source(file);
  Walk(source, {0, size}, 0);
  return 0;
}
