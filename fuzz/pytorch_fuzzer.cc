// A file that calls itself PyTorch's.
#include "fuzz/fuzzer.h"
#include "inspect/pytorch/reader.h"
#include "inspect/pytorch/test_pickle.h"
#include "inspect/read_for_test.h"

using namespace warmset;
using namespace warmset::test_pickle;

std::vector<std::string> Seeds() {
  const std::string model = Stream(OrderedDict({{"w", TwoFloats()}}));
  const Data data = {{"0", "12345678"}};
  auto script = ArchiveEntries(Stream(Global("__torch__", "N") + ")\x81" + Dict({}) + "b"), data);
  script.push_back({.name = "m/constants.pkl", .content = Stream(Tuple({TwoFloats()}))});
  script.push_back({.name = "m/constants/0", .content = "12345678"});
  return {Archive(model, data), Legacy(model, data, 2), TestZip(script), model,
          Archive(Stream(Payload()), {}), model + Archive(model, data)};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const PytorchReader reader;
  MemorySource source(Bytes(data, size));
  (void)reader.Recognise({.name = "x",
                          .bytes = Bytes(data, std::min(size, kFileStartBytes)),
                          .file_size = size});
  FilesForTest others;
  FileContents contents;
  (void)reader.Read(source, others, contents);
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorView tensor = contents.tensors[i];
    Promise(tensor.offset <= size && tensor.bytes <= size - tensor.offset,
            "a tensor's bytes lie in the file");
  }
  return 0;
}
