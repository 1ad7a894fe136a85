#include "inspect/onnx/reader.h"

#include "base/digest.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/onnx/test_onnx.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using namespace onnx_test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

using Others = std::map<std::string, std::string>;

StatusOr<FileContents> Parse(const std::string& file, Others others = {}) {
  return ReadForTest(OnnxReader(), file, std::move(others));
}

std::vector<std::string> TensorNames(const FileContents& contents) {
  std::vector<std::string> names;
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    names.emplace_back(contents.tensors[i].name);
  }
  return names;
}

// A float [2].
std::string Weight(std::string_view name = "w") { return RawTensor(name, kFloat, {2}, 8); }

TEST(OnnxReaderTest, RawDataIsListedWhereItLies) {
  const std::string file = AddModel(RawTensor("w", 16, {2, 3}, 12));
  const auto contents = Parse(file);
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->tensors.size(), 1u);
  const TensorView tensor = contents->tensors[0];
  EXPECT_EQ(tensor.name, "w");
  EXPECT_EQ(tensor.dtype, DType::kBF16);
  EXPECT_THAT(tensor.shape, ElementsAre(2, 3));
  EXPECT_EQ(tensor.storage, TensorStorage::kContiguous);
  EXPECT_EQ(tensor.offset, file.find(std::string(12, 'r')));
  EXPECT_EQ(tensor.bytes, 12u);
  EXPECT_EQ(contents->format_version, "8");
  EXPECT_THAT(contents->operators, ElementsAre(OperatorUse{"", "Add", 17, 1}));
  EXPECT_TRUE(contents->findings.empty());
}

TEST(OnnxReaderTest, MetadataAndProducer) {
  const auto contents = Parse(IdentityModel("", Bytes(2, "pytorch") + Bytes(3, "2.5") +
                                                    Bytes(14, Entry("author", "me")) +
                                                    Bytes(14, Entry("empty", ""))));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(contents->metadata,
              ElementsAre(Pair("author", "me"), Pair("empty", ""), Pair("producer_name", "pytorch"),
                          Pair("producer_version", "2.5")));
}

TEST(OnnxReaderTest, WeightsHiddenInConstantsAndSubgraphsAreFound) {
  const std::string inner = If("inner", "z", ConstantGraph("a"), ConstantGraph("b"));
  const std::string branch = inner + GraphName() + Initializer(Weight()) + Bytes(12, Bytes(1, "z"));
  const auto contents = Parse(IdentityModel(
      Node("Constant", "", "c", TensorAttribute("value", RawTensor("", kFloat, {1}, 4))) +
      Node("ConstantOfShape", "x", "d",
           NodeName("fill") + TensorAttribute("value", RawTensor("", kFloat, {1}, 4))) +
      If("outer", "e", branch, ConstantGraph("f"))));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(
      TensorNames(*contents),
      ElementsAre("c", "fill/value", "outer/then_branch/w", "outer/then_branch/inner/then_branch/a",
                  "outer/then_branch/inner/else_branch/b", "outer/else_branch/f"));
}

TEST(OnnxReaderTest, ListsOfTensorsAndSparseTensors) {
  const std::string values = RawTensor("s", kFloat, {2}, 8);
  const std::string indices = RawTensor("", 7, {2}, 16);
  const std::string sparse = Bytes(1, values) + Bytes(2, indices) + Number(3, 10);
  const auto contents = Parse(IdentityModel(
      Bytes(15, sparse) +
          Node("Constant", "", "c", Attribute("sparse_value", 11, Bytes(22, sparse))) +
          Node("Many", "x", "m",
               NodeName("many") + NodeDomain("com.x") +
                   Attribute("ts", 9, Bytes(10, Weight()) + Bytes(10, Weight()))),
      Opset("com.x", 1)));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(TensorNames(*contents), ElementsAre("s/values", "s/indices", "c/values", "c/indices",
                                                  "many/ts/0", "many/ts/1"));
}

TEST(OnnxReaderTest, NamesAreMadeUnique) {
  const auto value = [](std::string_view name) {
    return NodeName(name) + TensorAttribute("value", RawTensor("", kFloat, {1}, 4));
  };
  const auto contents = Parse(IdentityModel(Node("ConstantOfShape", "x", "a", value("n")) +
                                            Node("ConstantOfShape", "x", "b", value("n")) +
                                            Node("ConstantOfShape", "x", "c", value("n"))));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(TensorNames(*contents), ElementsAre("n/value", "n/value#2", "n/value#3"));
}

TEST(OnnxReaderTest, FunctionsAreCalledAndReadButAreNoOperators) {
  const auto contents = Parse(Model(
      Node("f", "x", "y", NodeDomain("local")) + GraphName() + Input("x") + Output("y"),
      Opset("local", 1) +
          Function("f", FunctionNode("Constant", "", "k", TensorAttribute("value", Weight(""))) +
                            FunctionNode("g", "x", "z", NodeDomain("local")) +
                            FunctionNode("Mul", "z,k", "y")) +
          Function("g", FunctionNode("Relu", "x", "y"))));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(TensorNames(*contents), ElementsAre("local.f/k"));
  EXPECT_THAT(contents->operators,
              ElementsAre(OperatorUse{"", "Constant", 17, 1}, OperatorUse{"", "Mul", 17, 1},
                          OperatorUse{"", "Relu", 17, 1}));
}

TEST(OnnxReaderTest, TrainingGraphsSeeTheInferenceGraphsNames) {
  const std::string algorithm = Node("Add", "w,x", "v") + GraphName() +
                                Initializer(Weight("rate")) + Bytes(12, Bytes(1, "v"));
  const auto contents = Parse(AddModel(Weight()) + Bytes(20, Bytes(2, algorithm)));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(TensorNames(*contents), ElementsAre("w", "training_info/0/algorithm/rate"));
}

TEST(OnnxReaderTest, ValuesInFieldsOfTheirType) {
  const std::string eight_bytes(8, 'f');
  struct Case {
    std::string tensor;
    TensorStorage storage;
    uint64_t bytes;
  };
  for (const auto& [tensor, storage, bytes] : {
           Case{TensorHead("w", 1, {2}) + Bytes(4, eight_bytes), TensorStorage::kContiguous, 8},
           Case{TensorHead("w", 11, {1}) + Bytes(10, eight_bytes), TensorStorage::kContiguous, 8},
           Case{TensorHead("w", 14, {1}) + Bytes(4, eight_bytes), TensorStorage::kContiguous, 8},
           Case{TensorHead("w", 1, {2}) + Float(4, 1) + Float(4, 2), TensorStorage::kEncoded, 0},
           Case{TensorHead("w", 1, {2}) + Bytes(4, "ffff") + Bytes(4, "ffff"),
                TensorStorage::kEncoded, 0},
           Case{TensorHead("w", 7, {3}) + Bytes(7, "\1\2\3"), TensorStorage::kEncoded, 3},
           Case{TensorHead("w", 6, {2}) + Number(5, 1) + Number(5, 2), TensorStorage::kEncoded, 0},
           Case{TensorHead("w", 12, {1}) + Bytes(11, "\1"), TensorStorage::kEncoded, 1},
           Case{TensorHead("w", 8, {2}) + Bytes(6, "a") + Bytes(6, ""), TensorStorage::kEncoded, 0},
           Case{TensorHead("w", 22, {9}) + Bytes(5, "\1\2"), TensorStorage::kEncoded, 2},
           Case{TensorHead("w", 25, {17}) + Bytes(5, "\1\2"), TensorStorage::kEncoded, 2},
           Case{RawTensor("w", 22, {3}, 2), TensorStorage::kEncoded, 2},
           Case{RawTensor("w", 22, {4}, 2), TensorStorage::kContiguous, 2},
           Case{RawTensor("w", 26, {8}, 2), TensorStorage::kContiguous, 2},
           Case{RawTensor("w", 27, {4}, 3), TensorStorage::kContiguous, 3},
           Case{TensorHead("w", 1, {0}), TensorStorage::kContiguous, 0},
       }) {
    const auto contents = Parse(AddModel(tensor));
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->tensors[0].storage, storage) << testing::PrintToString(tensor);
    EXPECT_EQ(contents->tensors[0].bytes, bytes) << testing::PrintToString(tensor);
  }
}

TEST(OnnxReaderTest, EveryDataTypeHasItsSize) {
  struct Case {
    uint64_t data_type;
    std::string_view dtype;
    size_t bytes;  // of 8 elements
  };
  for (const auto& [data_type, dtype, bytes] :
       {Case{1, "F32", 32},         Case{2, "U8", 8},           Case{3, "I8", 8},
        Case{4, "U16", 16},         Case{5, "I16", 16},         Case{6, "I32", 32},
        Case{7, "I64", 64},         Case{9, "BOOL", 8},         Case{10, "F16", 16},
        Case{11, "F64", 64},        Case{12, "U32", 32},        Case{13, "U64", 64},
        Case{14, "C64", 64},        Case{15, "C128", 128},      Case{16, "BF16", 16},
        Case{17, "F8_E4M3", 8},     Case{18, "F8_E4M3FNUZ", 8}, Case{19, "F8_E5M2", 8},
        Case{20, "F8_E5M2FNUZ", 8}, Case{21, "U4", 4},          Case{22, "I4", 4},
        Case{23, "F4", 4},          Case{24, "F8_E8M0", 8},     Case{25, "U2", 2},
        Case{26, "I2", 2},          Case{27, "F6_E2M3", 6},     Case{28, "F6_E3M2", 6}}) {
    const auto contents = Parse(AddModel(RawTensor("w", data_type, {8}, bytes)));
    ASSERT_TRUE(contents.ok()) << data_type << contents.status();
    EXPECT_EQ(DTypeName(contents->tensors[0].dtype), dtype);
    EXPECT_EQ(contents->tensors[0].bytes, bytes) << data_type;
    EXPECT_FALSE(Parse(AddModel(RawTensor("w", data_type, {8}, bytes - 1))).ok()) << data_type;
  }
}

TEST(OnnxReaderTest, ExternalDataIsListedInItsFile) {
  const std::string entries = ExternalEntry("location", "./sub//w.bin") +
                              ExternalEntry("offset", "4096") + ExternalEntry("length", "8") +
                              ExternalEntry("checksum", "00");
  const auto contents =
      Parse(AddModel(ExternalTensor("w", {2}, entries),
                     Initializer(ExternalTensor("v", {1}, ExternalEntry("location", "v.bin")))),
            {{"sub/w.bin", std::string(4104, 'w')}, {"v.bin", "vvvv"}});
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(contents->other_files, ElementsAre("sub/w.bin", "v.bin"));
  ASSERT_EQ(contents->tensors.size(), 2u);
  EXPECT_EQ(contents->tensors[0].file, 1u);
  EXPECT_EQ(contents->tensors[0].offset, 4096u);
  EXPECT_EQ(contents->tensors[0].bytes, 8u);
  EXPECT_EQ(contents->tensors[1].file, 2u);
  EXPECT_TRUE(contents->findings.empty());
}

TEST(OnnxReaderTest, WarningsLeaveTheModelUsable) {
  const std::string no_shape = Model(Node("Identity", "x", "y") + GraphName() + Output("y") +
                                     Bytes(11, Bytes(1, "x") + Bytes(2, Bytes(1, Number(1, 1)))));
  for (const auto& [file, message] : std::map<std::string, std::string>{
           {AddModel(RawTensor("w", kFloat, {2}, 9)), "of which 8 are used"},
           {AddModel(Weight() + ExternalEntry("location", "w.bin")), "does not use"},
           {no_shape, "no shape"}}) {
    const auto contents = Parse(file);
    ASSERT_TRUE(contents.ok()) << contents.status();
    ASSERT_EQ(contents->findings.size(), 1u) << message;
    EXPECT_THAT(contents->findings[0].message, HasSubstr(message));
    EXPECT_EQ(contents->findings[0].verdict, Verdict::kOk);
  }
}

TEST(OnnxReaderTest, TheOrderOfFieldsDoesNotMatter) {
  const std::string graph =
      Output("y") + Initializer(Weight()) + Input("x") + GraphName() + Node("Add", "x,w", "y");
  const auto contents = Parse(Opset("", 17) + Bytes(7, graph) + Number(1, 8));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->tensors.size(), 1u);
}

TEST(OnnxReaderTest, OldModels) {
  const std::string graph = AddGraph(Weight(), Input("w"));
  EXPECT_TRUE(Parse(ModelOf(2, graph, "")).ok());
  EXPECT_TRUE(Parse(ModelOf(3, graph, Opset("", 7))).ok());
  EXPECT_TRUE(Parse(ModelOf(14, graph, Opset("", 28) + Opset("ai.onnx.ml", 5))).ok());
}

TEST(OnnxReaderTest, TheWorstOfSeveralProblemsIsTheError) {
  const std::string outside = ExternalTensor("v", {2}, ExternalEntry("location", "../v.bin"));
  const std::string missing = ExternalTensor("u", {2}, ExternalEntry("location", "u.bin"));
  const std::string file =
      AddModel(RawTensor("w", kFloat, {3}, 8), Initializer(missing) + Initializer(outside));
  MemorySource source(AsBytes(file));
  FilesForTest others;
  FileContents contents;
  const Status status = OnnxReader().Read(source, others, contents);
  EXPECT_EQ(CodeOf(status), ErrorCode::kUnsafeModel);
  std::vector<Verdict> verdicts;
  for (const Finding& finding : contents.findings) verdicts.push_back(finding.verdict);
  EXPECT_THAT(verdicts, testing::UnorderedElementsAre(Verdict::kCorrupt, Verdict::kIncomplete));
}

TEST(OnnxReaderTest, ErrorsOfOtherFilesGoThrough) {
  class Symlinks final : public OtherFiles {
   public:
    StatusOr<ByteSource*> Open(const std::string& path) override {
      ++opened;
      return Error(ErrorCode::kUnsafeModel, path + " leads out of the folder");
    }
    int opened = 0;
  };
  const std::string entry = ExternalEntry("location", "w.bin");
  const std::string file =
      AddModel(ExternalTensor("w", {2}, entry), Initializer(ExternalTensor("v", {2}, entry)));
  MemorySource source(AsBytes(file));
  Symlinks others;
  FileContents contents;
  EXPECT_EQ(CodeOf(OnnxReader().Read(source, others, contents)), ErrorCode::kUnsafeModel);
  EXPECT_EQ(others.opened, 1);
}

TEST(OnnxReaderTest, AFileCutOffAtAnyByteIsIncomplete) {
  const std::string whole =
      AddModel(Weight(), If("i", "z", ConstantGraph("a"), ConstantGraph("b"))) +
      Bytes(14, Entry("k", "v"));
  ASSERT_TRUE(Parse(whole).ok()) << Parse(whole).status();
  // Between the fields of the model itself a cut leaves a message that lacks some;
  // without the metadata at its end it still is a model.
  const size_t last_field = whole.size() - Bytes(14, Entry("k", "v")).size();
  for (size_t size = 0; size < whole.size(); ++size) {
    if (size == last_field) continue;
    const Status status = Parse(whole.substr(0, size)).status();
    if (CodeOf(status) == ErrorCode::kCorruptedModel) {
      EXPECT_THAT(std::string(Message(status)),
                  testing::ContainsRegex("no graph|no opset|ir_version"));
    } else {
      EXPECT_EQ(CodeOf(status), ErrorCode::kIncompleteModel) << size << status;
    }
  }
}

TEST(OnnxReaderTest, TwoOpsetImportsOfADomainAreAWarningAndTheLastCounts) {
  struct Case {
    std::string more;
    std::string_view said;
  };
  const std::string graph = AddGraph(Weight());
  for (const auto& [more, said] :
       {Case{Opset("", 17), "ai.onnx twice, with the versions 17 and 17"},
        Case{Opset("", 16), "with the versions 17 and 16"},
        Case{Opset("ai.onnx", 16), "with the versions 17 and 16"},
        Case{Opset("a", 1) + Opset("a", 2), "a twice, with the versions 1 and 2"}}) {
    const auto contents = Parse(Model(graph, more));
    ASSERT_TRUE(contents.ok()) << contents.status();
    ASSERT_EQ(contents->findings.size(), 1u);
    EXPECT_EQ(contents->findings[0].verdict, Verdict::kOk);
    EXPECT_THAT(contents->findings[0].message, HasSubstr(std::string(said)));
  }
  const auto last = Parse(Model(graph, Opset("", 16)));
  EXPECT_EQ(last->operators.front().opset, 16u);
}

TEST(OnnxReaderTest, SubgraphsMayBeNestedAsDeepAsProtobufAllows) {
  const auto nested = [](int levels) {
    std::string graph = ConstantGraph("v0");
    for (int i = 1; i < levels; ++i) {
      const std::string output = fmt::format("v{}", i);
      graph = Node("If", "x", output, GraphAttribute("then_branch", graph)) + GraphName() +
              Bytes(12, Bytes(1, output));
    }
    return IdentityModel(Node("If", "x", "deep", GraphAttribute("then_branch", graph)));
  };
  EXPECT_TRUE(Parse(nested(32)).ok()) << Parse(nested(32)).status();
  EXPECT_EQ(CodeOf(Parse(nested(33)).status()), ErrorCode::kCorruptedModel);
  EXPECT_EQ(CodeOf(Parse(nested(3000)).status()), ErrorCode::kCorruptedModel);
}

TEST(OnnxReaderTest, ManyNodesAndNamesEndAtALimit) {
  std::string graph = GraphName() + Input("x") + Output("x");
  for (int i = 0; i < 1'600'000; ++i) graph += Node("Neg", "x", fmt::format("{:x}", i));
  EXPECT_EQ(CodeOf(Parse(Model(graph)).status()), ErrorCode::kUnsupportedFormat);
}

TEST(OnnxReaderTest, RecognisedByContent) {
  const OnnxReader reader;
  const auto match = [&](std::string_view name, std::string_view content) {
    return reader.Recognise({.name = name,
                             .bytes = AsBytes(content.substr(0, kFileStartBytes)),
                             .file_size = content.size()});
  };
  using Match = FormatReader::Match;
  const std::string model = AddModel(RawTensor("w", kFloat, {4000}, 16000));
  EXPECT_EQ(match("a.bin", model), Match::kByContent);
  EXPECT_EQ(match("a.bin", Number(1, 8) + Bytes(2, "pytorch") + Bytes(7, AddGraph(Weight()))),
            Match::kByContent);
  EXPECT_EQ(match("a.bin", Number(1, 99) + Opset("", 1)), Match::kByContent);
  EXPECT_EQ(match("a.ort", std::string("\x18\0\0\0ORTM....", 12)), Match::kByContent);
  EXPECT_EQ(match("a.onnx", "not a model"), Match::kByName);
  EXPECT_EQ(match("a.onnx", ""), Match::kByName);
  EXPECT_EQ(match("a.pb", ""), Match::kNo);
  // TensorProto files beside the standard's test models.
  EXPECT_EQ(match("input_0.pb", RawTensor("x", kFloat, {3, 4}, 48)), Match::kNo);
  EXPECT_EQ(match("input_0.pb", RawTensor("x", kFloat, {}, 4)), Match::kNo);
  // A SavedModel of TensorFlow: its schema version, then a message.
  EXPECT_EQ(match("saved_model.pb", Number(1, 1) + Bytes(2, Bytes(1, Bytes(5, "serve")))),
            Match::kNo);
  // A message of Core ML: its version, then a description.
  EXPECT_EQ(match("m.mlmodel", Number(1, 4) + Bytes(2, Bytes(1, Bytes(1, "input")))), Match::kNo);
  EXPECT_EQ(match("text", "\x08\x08 hello"), Match::kNo);
}

}  // namespace
}  // namespace warmset
