// A file that calls itself safetensors.
#include <algorithm>

#include "fuzz/fuzzer.h"
#include "inspect/read_for_test.h"
#include "inspect/safetensors/reader.h"

using namespace warmset;

namespace {

std::string FileOf(std::string json, size_t data_bytes) {
  std::string file(8, '\0');
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(json.size() >> (8 * i));
  return file + json + std::string(data_bytes, 'x');
}

}  // namespace

std::vector<std::string> Seeds() {
  return {
      FileOf(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],)"
             R"("data_offsets":[0,16]},"b.\u00e9":{"dtype":"BF16","shape":[],"data_offsets":[16,18]}})",
             18),
      FileOf(R"({"e":{"shape":[0,4],"dtype":"I64","data_offsets":[0,0]}}  )", 0),
      FileOf("{}", 0),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto contents =
      ReadForTest(SafetensorsReader(), {reinterpret_cast<const char*>(data), size});
  if (!contents.ok()) return 0;
  uint64_t begin = 8;
  for (size_t i = 0; i < 8; ++i) begin += uint64_t{data[i]} << (8 * i);
  for (size_t i = 0; i < contents->tensors.size(); ++i) {
    const TensorView tensor = contents->tensors[i];
    Promise(tensor.offset == begin, "tensors follow each other without a gap");
    begin += tensor.bytes;
  }
  Promise(begin == size, "they end where the file ends");
  return 0;
}
