#include "inspect/pytorch/reader.h"

#include "base/strong.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/pytorch/test_pickle.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using namespace test_pickle;  // NOLINT: the vocabulary of this file
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kEight(8, 'f');  // bytes of two floats

StatusOr<FileContents> Parse(const std::string& file) {
  return ReadForTest(PytorchReader(), file);
}

std::vector<std::string> NamesOf(const FileContents& contents) {
  std::vector<std::string> names;
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    names.emplace_back(contents.tensors[i].name);
  }
  return names;
}

// One float matrix of 2 rows and 3 columns, viewed in that way.
std::string View(int64_t offset, const std::vector<int64_t>& size,
                 const std::vector<int64_t>& stride) {
  return Archive(
      Stream(Dict({{"w", Tensor(Storage("FloatStorage", "0", 6), offset, size, stride)}})),
      {{"0", std::string(24, 'w')}});
}

TEST(PytorchReaderTest, TensorsOfAnArchive) {
  const std::string matrix = Tensor(Storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1});
  const std::string half = Tensor(Storage("HalfStorage", "1", 2), 1, {}, {});
  const std::string file = Archive(
      Stream(OrderedDict({{"a.weight", matrix}, {"a.scale", half}, {"steps", Int(7)}})),
      {{"0", std::string(24, 'w')}, {"1", "hhHH"}});
  const auto contents = Parse(file);
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->tensors.size(), 2u);
  const TensorView a = contents->tensors[0];
  EXPECT_EQ(a.name, "a.weight");
  EXPECT_EQ(a.dtype, DType::kF32);
  EXPECT_THAT(a.shape, ElementsAre(2, 3));
  EXPECT_EQ(a.storage, TensorStorage::kContiguous);
  EXPECT_EQ(file.substr(a.offset, a.bytes), std::string(24, 'w'));
  const TensorView b = contents->tensors[1];
  EXPECT_EQ(b.dtype, DType::kF16);
  EXPECT_THAT(b.shape, IsEmpty());
  EXPECT_EQ(file.substr(b.offset, b.bytes), "HH");
  EXPECT_EQ(contents->format_version, "3");
  EXPECT_EQ(contents->metadata.at("steps"), "7");
  EXPECT_TRUE(contents->findings.empty());
}

TEST(PytorchReaderTest, TensorsOfALegacyFile) {
  const std::string storage = Storage("FloatStorage", "94", 2, "N");
  const std::string file =
      Legacy(Stream(OrderedDict({{"w", Tensor(storage, 0, {2}, {1})}})), {{"94", kEight}}, 2);
  const auto contents = Parse(file);
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->tensors.size(), 1u);
  EXPECT_EQ(contents->tensors[0].offset, file.size() - 8);
  EXPECT_EQ(contents->tensors[0].bytes, 8u);
  EXPECT_EQ(contents->format_version, "1001");
}

TEST(PytorchReaderTest, PartsOfALegacyStorage) {
  const std::string part = Tuple({Text("7"), Int(2), Int(2)});
  const std::string storage = Storage("FloatStorage", "1", 4, part);
  const std::string file =
      Legacy(Stream(Dict({{"w", Tensor(storage, 1, {1}, {1})}})), {{"1", std::string(16, 'f')}}, 4);
  const auto contents = Parse(file);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->tensors[0].offset, file.size() - 4);
}

TEST(PytorchReaderTest, ViewsLieWhereTheirStridesSay) {
  struct Case {
    std::string file;
    TensorStorage storage;
    uint64_t offset;  // in the storage
    uint64_t bytes;
  };
  for (const Case& c : {Case{View(0, {2, 3}, {3, 1}), TensorStorage::kContiguous, 0, 24},
                        Case{View(3, {1, 3}, {3, 1}), TensorStorage::kContiguous, 12, 12},
                        Case{View(3, {1, 3}, {77, 1}), TensorStorage::kContiguous, 12, 12},
                        Case{View(0, {3, 2}, {1, 3}), TensorStorage::kStrided, 0, 24},
                        Case{View(1, {2}, {3}), TensorStorage::kStrided, 4, 16},
                        Case{View(5, {100}, {0}), TensorStorage::kStrided, 20, 4},
                        Case{View(6, {0}, {1}), TensorStorage::kContiguous, 24, 0},
                        Case{View(5, {}, {}), TensorStorage::kContiguous, 20, 4}}) {
    const auto contents = Parse(c.file);
    ASSERT_TRUE(contents.ok()) << contents.status();
    const TensorView tensor = contents->tensors[0];
    EXPECT_EQ(tensor.storage, c.storage);
    EXPECT_EQ(tensor.offset - c.file.find(std::string(24, 'w')), c.offset);
    EXPECT_EQ(tensor.bytes, c.bytes);
  }
  EXPECT_THAT(Parse(View(0, {3, 2}, {1, 3}))->tensors[0].strides, ElementsAre(1, 3));
}

TEST(PytorchReaderTest, NamesLeadThroughWhatContainsThem) {
  const std::string tensor = TwoFloats();
  const std::string shared = tensor + "q\5";  // two names for one tensor
  const auto contents = Parse(Archive(
      Stream(Dict({{"state_dict", OrderedDict({{"a.b", shared}})},
                   {"again", "h\5"},
                   {"list", List({tensor, Tuple({tensor})})},
                   {"optimizer", "}(" + Int(3) + tensor + "u"},
                   {"state", Dict({{"state_dict", Dict({{"x", tensor}})}})}})),
      {{"0", kEight}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(NamesOf(*contents), ElementsAre("a.b", "again", "list.0", "list.1.0", "optimizer.3",
                                              "state.state_dict.x"));
  EXPECT_EQ(contents->tensors[0].offset, contents->tensors[1].offset);
}

TEST(PytorchReaderTest, EqualNames) {
  // The last of one dict, the first of several.
  const std::string other = Tensor(Storage("FloatStorage", "1", 1), 0, {1}, {1});
  const auto contents = Parse(Archive(
      Stream(Dict({{"a", TwoFloats()}, {"a", other}, {"state_dict", Dict({{"a", TwoFloats()}})}})),
      {{"0", kEight}, {"1", "ffff"}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_THAT(NamesOf(*contents), ElementsAre("a"));
  EXPECT_EQ(contents->tensors[0].bytes, 4u);
  ASSERT_EQ(contents->findings.size(), 1u);
  EXPECT_THAT(contents->findings[0].message, HasSubstr("would be named 'a'"));
}

TEST(PytorchReaderTest, EveryKindOfTensor) {
  const auto rebuild = [](std::string_view function, const std::vector<std::string>& args) {
    return Call(Global("torch._utils", function), args);
  };
  const std::string bytes = Tuple({Text("storage"), Global("torch.storage", "UntypedStorage"),
                                   Text("0"), Text("cpu"), Int(8)}) +
                            "Q";
  const std::string view = Storage("FloatStorage", "0", 2);
  const std::string layout =
      Call(Global("torch.serialization", "_get_layout"), {Text("torch.sparse_coo")});
  const auto contents = Parse(Archive(
      Stream(Dict(
          {{"v1", rebuild("_rebuild_tensor", {view, Int(0), Ints({2}), Ints({1})})},
           {"fp8", rebuild("_rebuild_tensor_v3", {bytes, Int(0), Ints({8}), Ints({1}), "\x89",
                                                  OrderedDict(), Global("torch", "float8_e5m2")})},
           {"parameter", rebuild("_rebuild_parameter", {TwoFloats(), "\x88", OrderedDict()})},
           {"stateful", rebuild("_rebuild_parameter_with_state",
                                {TwoFloats(), "\x88", OrderedDict(), Dict({})})},
           {"quantised",
            rebuild("_rebuild_qtensor",
                    {Storage("QInt8Storage", "0", 8), Int(0), Ints({8}), Ints({1}),
                     Tuple({Global("torch", "per_tensor_affine"), Int(1), Int(0)}), "\x89",
                     OrderedDict()})},
           {"sparse", rebuild("_rebuild_sparse_tensor",
                              {layout, Tuple({TwoFloats(), TwoFloats(), Ints({9})})})},
           {"meta", rebuild("_rebuild_meta_tensor_no_storage",
                            {Global("torch", "float16"), Ints({4}), Ints({1}), "\x89"})},
           {"typed", Call(Global("torch._tensor", "_rebuild_from_type_v2"),
                          {Global("torch._utils", "_rebuild_tensor_v2"), Global("torch", "Tensor"),
                           Tuple({view, Int(0), Ints({2}), Ints({1}), "\x89", OrderedDict()}),
                           Dict({})})},
           {"old", Global("torch.nn.parameter", "Parameter") + ")R" +
                       Tuple({TwoFloats(), "\x88", OrderedDict()}) + "b"},
           {"what_else", List({Call(Global("torch", "Size"), {Ints({1})}),
                               Call(Global("torch", "device"), {Text("cpu")}),
                               Call(Global("_codecs", "encode"), {Text("a"), Text("latin1")}),
                               Call(Global("__builtin__", "set"), {List({})}),
                               Call(Global("builtins", "complex"), {Int(1), Int(2)}),
                               Call(Global("builtins", "bytearray"), {Text("a"), Text("latin1")}),
                               Call(Global("collections", "Counter"), {Dict({})}),
                               Global("torch", "float32"), "U\1a", "\x8f", "N"})}})),
      {{"0", kEight}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(NamesOf(*contents),
              ElementsAre("v1", "fp8", "parameter", "stateful", "quantised", "sparse.indices",
                          "sparse.values", "meta", "typed", "old"));
  EXPECT_EQ(contents->tensors[1].dtype, DType::kF8E5M2);
  EXPECT_EQ(contents->tensors[4].dtype, DType::kI8);
  EXPECT_EQ(contents->tensors[7].storage, TensorStorage::kEncoded);
  ASSERT_EQ(contents->findings.size(), 1u);
  EXPECT_EQ(contents->findings[0].category, FindingCategory::kDtypeSupport);
}

TEST(PytorchReaderTest, EveryStorageHasItsDType) {
  for (const auto& [storage, dtype, bytes] :
       {std::tuple{"DoubleStorage", DType::kF64, 8}, {"FloatStorage", DType::kF32, 4},
        {"HalfStorage", DType::kF16, 2}, {"BFloat16Storage", DType::kBF16, 2},
        {"LongStorage", DType::kI64, 8}, {"IntStorage", DType::kI32, 4},
        {"ShortStorage", DType::kI16, 2}, {"CharStorage", DType::kI8, 1},
        {"ByteStorage", DType::kU8, 1}, {"BoolStorage", DType::kBool, 1},
        {"ComplexFloatStorage", DType::kC64, 8}, {"ComplexDoubleStorage", DType::kC128, 16},
        {"QInt8Storage", DType::kI8, 1}, {"QUInt8Storage", DType::kU8, 1},
        {"QInt32Storage", DType::kI32, 4}}) {
    const auto contents =
        Parse(Archive(Stream(Dict({{"t", Tensor(Storage(storage, "0", 1), 0, {1}, {1})}})),
                      {{"0", std::string(static_cast<size_t>(bytes), 'x')}}));
    ASSERT_TRUE(contents.ok()) << storage << contents.status();
    EXPECT_EQ(contents->tensors[0].dtype, dtype) << storage;
  }
}

TEST(PytorchReaderTest, CompressedStoragesAreListedOnly) {
  auto entries = ArchiveEntries(Stream(Dict({{"w", TwoFloats()}})), {{"0", kEight}});
  for (TestZipEntry& entry : entries) entry.deflate = true;
  const auto contents = Parse(TestZip(entries));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->tensors[0].storage, TensorStorage::kEncoded);
}

TEST(PytorchReaderTest, TorchScriptIsReadAndMentioned) {
  const std::string module = Global("__torch__", "Net") + ")\x81" +
                             Dict({{"weight", TwoFloats()},
                                   {"pads", Call(Global("torch.jit._pickle", "build_intlist"),
                                                 {List({Int(1)})})}}) +
                             "b";
  auto entries = ArchiveEntries(Stream(module), {{"0", kEight}});
  entries.push_back({.name = "m/code/__torch__.py", .content = "class Net(Module): ..."});
  entries.push_back({.name = "m/constants.pkl", .content = Stream(Tuple({TwoFloats()}))});
  entries.push_back({.name = "m/constants/0", .content = kEight});
  const auto contents = Parse(TestZip(entries));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(NamesOf(*contents), ElementsAre("weight", "constants.0"));
  ASSERT_EQ(contents->findings.size(), 1u);
  EXPECT_EQ(contents->findings[0].verdict, Verdict::kOk);
  EXPECT_EQ(contents->findings[0].category, FindingCategory::kUnsafeContent);
}

TEST(PytorchReaderTest, TensorsOfAnUnsafeFileAreListed) {
  const std::string file =
      Archive(Stream(Dict({{"w", TwoFloats()}, {"x", Payload()}})), {{"0", kEight}});
  MemorySource source(AsBytes(file));
  FilesForTest others;
  FileContents contents;
  EXPECT_EQ(CodeOf(PytorchReader().Read(source, others, contents)), ErrorCode::kUnsafeModel);
  EXPECT_THAT(NamesOf(contents), ElementsAre("w"));
}

TEST(PytorchReaderTest, ErrorsNameTheGlobalAndWhereItStands) {
  const std::string file = Archive(Stream(Payload()), {});
  const Status status = Parse(file).status();
  EXPECT_THAT(std::string(Message(status)), HasSubstr("m/data.pkl: posix.system at offset 2"));
  EXPECT_EQ(OffsetOf(status), file.find("cposix"));
}

TEST(PytorchReaderTest, IsRecognisedByItsContent) {
  const auto match = [](std::string_view name, const std::string& file) {
    return PytorchReader().Recognise(
        {.name = name, .bytes = AsBytes(file), .file_size = file.size()});
  };
  using enum FormatReader::Match;
  EXPECT_EQ(match("x", Archive(Stream("N"), {})), kByContent);
  EXPECT_EQ(match("x.safetensors", LegacyHead()), kByContent);
  EXPECT_EQ(match("x.txt", Stream(Payload())), kByContent);
  EXPECT_EQ(match("x", Stream("N")), kByContent);
  EXPECT_EQ(match("x", Stream(Payload()).substr(0, 30)), kByContent);
  EXPECT_EQ(match("x", Payload() + "."), kByContent);
  EXPECT_EQ(match("x", "(S'true'\nios\nsystem\n."), kByContent);
  EXPECT_EQ(match("x", "(cos\nsystem\nS'true'\no."), kByContent);
  EXPECT_EQ(match("model.pt", "<html>"), kByName);
  EXPECT_EQ(match("pytorch_model-00001-of-00002.bin", ""), kByName);
  EXPECT_EQ(match("firmware.bin", ""), kNo);
  for (const std::string text :
       {"", "cat\ndog\nbird\n", "copyright\nall rights reserved\n", "(internal use only)\nfoo\n",
        "import this\n", "# c\nd\n", "}\n", "GGUF\3\0\0\0"}) {
    EXPECT_EQ(match("x", text), kNo) << text;
  }
}

TEST(PytorchReaderTest, AFileCutOffAtAnyByteIsNoModel) {
  const std::string pickle = Stream(OrderedDict({{"w", TwoFloats()}}));
  for (const std::string& whole :
       {Archive(pickle, {{"0", kEight}}), Legacy(pickle, {{"0", kEight}}, 2)}) {
    ASSERT_TRUE(Parse(whole).ok()) << Parse(whole).status();
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(Parse(whole.substr(0, size)).ok()) << size;
    }
  }
}

TEST(PytorchReaderTest, AsManyTensorsAsModelsHave) {
  std::string items = "}(";
  for (int i = 0; i < 20'000; ++i) items += Text(fmt::format("layer.{}.weight", i)) + TwoFloats();
  const auto contents = Parse(Archive(Stream(items + "u"), {{"0", kEight}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->tensors.size(), 20'000u);
}

}  // namespace
}  // namespace warmset
