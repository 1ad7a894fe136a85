// A file that calls itself ONNX, with a file of external data beside it.
#include "fuzz/fuzzer.h"
#include "inspect/onnx/reader.h"
#include "inspect/onnx/test_onnx.h"
#include "inspect/read_for_test.h"

using namespace warmset;
using namespace warmset::onnx_test;

namespace {

constexpr uint64_t kExternalBytes = 64;

}  // namespace

std::vector<std::string> Seeds() {
  const std::string weight = RawTensor("w", kFloat, {2}, 8);
  const std::string external = ExternalEntry("location", "w.bin") + ExternalEntry("offset", "16") +
                               ExternalEntry("length", "8");
  const std::string sparse = Bytes(1, RawTensor("s", kFloat, {2}, 8)) +
                             Bytes(2, RawTensor("", 7, {2}, 16)) + Number(3, 10);
  return {
      AddModel(weight, Initializer(TensorHead("i", 7, {3}) + Bytes(7, "\1\2\3"))),
      AddModel(ExternalTensor("w", {2}, external)) + Bytes(14, Entry("k", "v")),
      IdentityModel(If("i", "z", ConstantGraph("a"),
                       If("j", "b", ConstantGraph("c"), ConstantGraph("d")) + GraphName() +
                           Bytes(12, Bytes(1, "b")))),
      IdentityModel(Bytes(15, sparse) +
                    Node("Constant", "", "c", Attribute("sparse_value", 11, Bytes(22, sparse)))),
      IdentityModel(Node("f", "x", "q", NodeDomain("local")),
                    Opset("local", 1) + Bytes(2, "producer") +
                        Function("f", FunctionNode("g", "x", "y", NodeDomain("local"))) +
                        Function("g", FunctionNode("Relu", "x", "y"))),
      ModelOf(3, AddGraph(weight, Input("w")), Opset("", 7)) +
          Bytes(20, Bytes(2, AddGraph(weight))),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const FileStart start{.name = "model.onnx",
                        .bytes = Bytes(data, std::min(size, kFileStartBytes)),
                        .file_size = size};
  Promise(OnnxReader().Recognise(start) != FormatReader::Match::kNo, "it is recognised by name");
  MemorySource file(Bytes(data, size));
  FilesForTest others({{"w.bin", std::string(kExternalBytes, 'w')}});
  FileContents contents;
  const Status status = OnnxReader().Read(file, others, contents);
  Promise(CodeOf(status) != ErrorCode::kIoError || status.ok(), "no read outside of the file");
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorView tensor = contents.tensors[i];
    Promise(tensor.file <= contents.other_files.size(), "a tensor lies in a file that is known");
    const uint64_t file_size = tensor.file == 0 ? size : kExternalBytes;
    Promise(tensor.offset <= file_size && tensor.bytes <= file_size - tensor.offset,
            "a tensor lies within its file");
  }
  Promise(!contents.tensors.FindDuplicateName(), "names are unique");
  return 0;
}
