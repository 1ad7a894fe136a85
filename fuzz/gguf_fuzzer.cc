// A file that calls itself GGUF.
#include "fuzz/fuzzer.h"
#include "inspect/gguf/reader.h"
#include "inspect/gguf/test_gguf.h"
#include "inspect/read_for_test.h"

using namespace warmset;

std::vector<std::string> Seeds() {
  return {
      TestGguf()
          .Set("general.architecture", "llama")
          .Set("llama.block_count", uint32_t{2})
          .Set("llama.rope.freq_base", 1e4f)
          .Set("flag", true)
          .Set("tokenizer.ggml.tokens", std::vector<std::string>{"<s>", "", "a"})
          .Pair("tokenizer.ggml.scores", 9,
                TestGguf::Raw(6) + TestGguf::Raw<uint64_t>(2) + std::string(8, '\0'))
          .Tensor("token_embd.weight", {256, 2}, 12, 288)
          .Tensor("blk.0.attn_q.weight", {64, 2}, 2, 72)
          .Tensor("norm", {5})
          .File(),
      TestGguf().Version(2).Alignment(8).Tensor("e", {4, 0, 1, 1}).Tensor("s", {}).File(),
      TestGguf().RawTensor("old", {32}, 4, 0).RawTensor("b", {2}, 0, 32).File() +
          std::string(64, 'd'),
      TestGguf().Version(0x03000000).File(),
      TestGguf().File(),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemorySource source(Bytes(data, size));
  FilesForTest none;
  FileContents contents;
  const Status status = GgufReader().Read(source, none, contents);
  size_t metadata_bytes = 0;
  for (const auto& [key, value] : contents.metadata) metadata_bytes += key.size() + value.size();
  Promise(metadata_bytes <= size * 3 + 64 * contents.metadata.size(),
          "metadata takes no more than the file gives");
  if (!status.ok() && CodeOf(status) != ErrorCode::kUnsupportedFormat) return 0;
  uint64_t end = 0;
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorView tensor = contents.tensors[i];
    Promise(tensor.offset >= end, "tensors follow each other");
    end = tensor.offset + tensor.bytes;
    Promise(end >= tensor.offset && end <= size, "they lie in the file");
    const auto elements = ElementsOf(tensor.shape);
    Promise(elements && DTypeBytes(tensor.dtype, *elements) == tensor.bytes,
            "their bytes are those of their shape");
  }
  return 0;
}
