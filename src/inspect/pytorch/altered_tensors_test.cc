// Tensors whose values are not the bytes of their storage, and tensors that are easily
// lost: none is handed out wrong, and none vanishes.
#include "base/strong.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/pytorch/reader.h"
#include "inspect/pytorch/test_pickle.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using namespace test_pickle;  // NOLINT: the vocabulary of this file
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kEight(8, 'f');  // bytes of two floats
const std::string kView = Storage("FloatStorage", "0", 2);

// A dict with keys of any kind, by what their pickles are.
std::string DictOf(const Items& items) {
  std::string dict = "}(";
  for (const auto& [key, value] : items) dict += key + value;
  return dict + "u";
}

std::string WithMetadata(const std::string& metadata) {
  return Call(Global("torch._utils", "_rebuild_tensor_v2"),
              {kView, Long(0), Ints({2}), Ints({1}), "\x89", OrderedDict(), metadata});
}

StatusOr<FileContents> Parse(const std::string& value) {
  return ReadForTest(PytorchReader(), Archive(Stream(value), {{"0", kEight}}));
}

std::vector<std::string> NamesOf(const FileContents& contents) {
  std::vector<std::string> names;
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    names.emplace_back(contents.tensors[i].name);
  }
  return names;
}

TEST(AlteredTensorsTest, ConjugateAndNegativeBitsAreNotHandedOut) {
  const std::string v3 = Call(Global("torch._utils", "_rebuild_tensor_v3"),
                              {kView, Long(0), Ints({2}), Ints({1}), "\x89", OrderedDict(),
                               Global("torch", "float32"), Dict({{"conj", "\x88"}})});
  const std::string typed =
      Call(Global("torch._tensor", "_rebuild_from_type_v2"),
           {Global("torch._utils", "_rebuild_tensor_v2"), Global("torch", "Tensor"),
            Tuple({kView, Long(0), Ints({2}), Ints({1}), "\x89", OrderedDict(),
                   Dict({{"neg", "\x88"}})}),
            Dict({})});
  for (const std::string& tensor :
       {WithMetadata(Dict({{"conj", "\x88"}})), WithMetadata(Dict({{"neg", "\x88"}})),
        WithMetadata(Dict({{"conj", "\x88"}, {"neg", "\x88"}})),
        WithMetadata(Dict({{"neg", "\x89"}})),  // PyTorch looks for the key only
        WithMetadata(Dict({{"of_another_device", "\x88"}})), v3, typed,
        Call(Global("torch._utils", "_rebuild_parameter"),
             {WithMetadata(Dict({{"conj", "\x88"}})), "\x88", OrderedDict()})}) {
    const auto contents = Parse(Dict({{"w", tensor}, {"plain", TwoFloats()}}));
    ASSERT_TRUE(contents.ok()) << contents.status();
    ASSERT_THAT(NamesOf(*contents), ElementsAre("w", "plain"));
    EXPECT_EQ(contents->tensors[0].storage, TensorStorage::kEncoded);
    EXPECT_EQ(contents->tensors[1].storage, TensorStorage::kContiguous);
    ASSERT_EQ(contents->findings.size(), 1u);
    EXPECT_EQ(contents->findings[0].verdict, Verdict::kOk);
    EXPECT_THAT(contents->findings[0].message, HasSubstr("the first is 'w'"));
    EXPECT_THAT(contents->findings[0].message, HasSubstr("resolve_conj()"));
  }
}

TEST(AlteredTensorsTest, MetadataWithoutBitsChangesNothing) {
  for (const std::string& metadata : {std::string("N"), Dict({}), OrderedDict()}) {
    const auto contents = Parse(Dict({{"w", WithMetadata(metadata)}}));
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->tensors[0].storage, TensorStorage::kContiguous);
    EXPECT_THAT(contents->findings, IsEmpty());
  }
  EXPECT_EQ(CodeOf(Parse(Dict({{"w", WithMetadata(Text("conj"))}})).status()),
            ErrorCode::kCorruptedModel);
}

TEST(AlteredTensorsTest, QuantisedTensorsAreNotHandedOut) {
  const std::string scales = Tensor(Storage("FloatStorage", "0", 2), 0, {2}, {1});
  const std::string channel =
      Call(Global("torch._utils", "_rebuild_qtensor"),
           {Storage("QInt8Storage", "0", 8), Int(0), Ints({2, 4}), Ints({4, 1}),
            Tuple({Global("torch", "per_channel_affine"), scales, scales, Int(0)}), "\x89",
            OrderedDict()});
  const auto contents = Parse(Dict({{"q", channel}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_THAT(NamesOf(*contents), ElementsAre("q"));
  EXPECT_EQ(contents->tensors[0].storage, TensorStorage::kEncoded);
  ASSERT_EQ(contents->findings.size(), 2u);
  EXPECT_THAT(contents->findings[0].message, HasSubstr("are quantised"));
  EXPECT_THAT(contents->findings[1].message, HasSubstr("2 tensors"));  // scales, zero points
}

TEST(AlteredTensorsTest, ATensorThatLoadingConvertsIsNotHandedOut) {
  const auto on_device = [](std::string_view dtype) {
    return Call(Global("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"),
                {TwoFloats(), Global("torch", dtype), Text("xla:0"), "\x89"});
  };
  EXPECT_EQ(Parse(Dict({{"w", on_device("bfloat16")}}))->tensors[0].storage,
            TensorStorage::kEncoded);
  EXPECT_EQ(Parse(Dict({{"w", on_device("float32")}}))->tensors[0].storage,
            TensorStorage::kContiguous);
}

TEST(AlteredTensorsTest, TensorsUnderKeysOfEveryKind) {
  const std::string t = TwoFloats();
  const auto contents = Parse(DictOf({{Tuple({Text("a"), Int(1)}), t},
                                      {Tuple({Text("it's")}), t},
                                      {"N", t},
                                      {"\x88", t},
                                      {"G" + std::string("\x3f\xf8\0\0\0\0\0\0", 8), t},
                                      {Long(-7), t},
                                      {Global("torch", "float16"), t},
                                      {Call(Global("builtins", "bytearray"), {}), t},
                                      {Text("last"), Dict({{"w", t}})}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(NamesOf(*contents), ElementsAre("('a', 1)", "('it\\'s',)", "None", "True", "1.5",
                                              "-7", "torch.float16", "<key 7>", "last.w"));
  EXPECT_THAT(contents->findings, IsEmpty());
}

TEST(AlteredTensorsTest, KeysThatPythonTakesForEqualAreOne) {
  const std::string one_float = Tensor(Storage("FloatStorage", "0", 2), 0, {1}, {1});
  const auto contents =
      Parse(DictOf({{Int(1), TwoFloats()}, {"\x88", TwoFloats()}, {Text("1"), one_float}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(NamesOf(*contents), ElementsAre("True", "1"));
  const auto same_name = Parse(DictOf({{Int(1), TwoFloats()}, {Text("1"), one_float}}));
  ASSERT_EQ(same_name->findings.size(), 1u);
  EXPECT_THAT(same_name->findings[0].message, HasSubstr("would be named '1'"));
}

TEST(AlteredTensorsTest, TensorsWithoutANameAreCounted) {
  const std::string attributes =
      OrderedDict({{"w", TwoFloats()}}) + Dict({{"scale", TwoFloats()}}) + "b";
  for (const std::string& value :
       {Dict({{"s", Call(Global("builtins", "set"), {List({TwoFloats()})})}, {"w", TwoFloats()}}),
        Dict({{"s", "\x8f(" + TwoFloats() + "\x90"}, {"w", TwoFloats()}}), attributes,
        DictOf({{TwoFloats(), Int(1)}, {Text("w"), TwoFloats()}})}) {
    const std::string file = Archive(Stream(value), {{"0", kEight}});
    MemorySource source(AsBytes(file));
    FilesForTest none;
    FileContents contents;
    const Status status = PytorchReader().Read(source, none, contents);
    EXPECT_NE(CodeOf(status), ErrorCode::kCorruptedModel) << status;
    EXPECT_THAT(NamesOf(contents), ElementsAre("w"));
    std::string messages;
    for (const Finding& finding : contents.findings) messages += finding.message + "\n";
    EXPECT_THAT(messages, HasSubstr("1 tensors (the first in storage '0') lie in sets"));
  }
}

TEST(AlteredTensorsTest, AStorageWithoutATensorIsCounted) {
  const auto contents = Parse(Dict({{"w", TwoFloats()}, {"bare", kView}}));
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->findings.size(), 1u);
  EXPECT_THAT(contents->findings[0].message, HasSubstr("1 storages (the first is '0')"));
}

}  // namespace
}  // namespace warmset
