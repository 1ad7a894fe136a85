// A file that calls itself DDUF.
#include "fuzz/fuzzer.h"
#include "inspect/dduf/reader.h"
#include "inspect/read_for_test.h"
#include "inspect/test_safetensors.h"
#include "inspect/zip/test_zip.h"

using namespace warmset;

std::vector<std::string> Seeds() {
  const std::vector<TestZipEntry> entries = {
      {.name = "model_index.json",
       .content = R"({"_class_name":"P","unet":["diffusers","UNet2DConditionModel"]})"},
      {.name = "unet/config.json", .content = "{}"},
      {.name = "unet/a.safetensors.index.json", .content = R"({"weight_map":{"a":"b.safetensors"}})"},
      {.name = "unet/b.safetensors", .content = TestSafetensors({{"a", 3}})}};
  return {TestZip(entries), TestZip(entries, {.zip64 = true})};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemorySource source(Bytes(data, size));
  FilesForTest others;
  FileContents contents;
  (void)DdufReader().Read(source, others, contents);
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorView tensor = contents.tensors[i];
    Promise(tensor.offset <= size && tensor.bytes <= size - tensor.offset,
            "a tensor's bytes lie in the file");
  }
  return 0;
}
