// Files that are broken, or made to harm who loads them.
#include <functional>

#include "base/strong.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/pytorch/reader.h"
#include "inspect/pytorch/test_pickle.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using namespace test_pickle;  // NOLINT: the vocabulary of this file
using testing::HasSubstr;
using testing::Not;

constexpr auto kUnsafe = ErrorCode::kUnsafeModel;
constexpr auto kCorrupt = ErrorCode::kCorruptedModel;
constexpr auto kUnsupported = ErrorCode::kUnsupportedFormat;
constexpr auto kUnrecognized = ErrorCode::kUnrecognizedFormat;
constexpr auto kIncomplete = ErrorCode::kIncompleteModel;

struct Hostile {
  std::string_view name;
  std::string file;
  ErrorCode code;
  std::string_view message;
};

class HostileFile : public testing::TestWithParam<Hostile> {};

TEST_P(HostileFile, IsRefusedWithItsReason) {
  const Status status = ReadForTest(PytorchReader(), GetParam().file).status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorCodeName(CodeOf(status)), ErrorCodeName(GetParam().code)) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(GetParam().message)));
}

std::string Name(const testing::TestParamInfo<Hostile>& test) {
  return std::string(test.param.name);
}

const std::string kEight(8, 'f');
const std::string kModel = Stream(Dict({{"w", TwoFloats()}}));

// An archive of one pickle, with the storage of TwoFloats().
std::string InArchive(const std::string& pickle) { return Archive(pickle, {{"0", kEight}}); }
// A model whose dict has a further value.
std::string With(const std::string& value) {
  return InArchive(Stream(Dict({{"w", TwoFloats()}, {"x", value}})));
}
std::string WithTensor(const std::string& tensor) {
  return InArchive(Stream(Dict({{"w", tensor}})));
}
std::string Changed(const std::function<void(std::vector<TestZipEntry>&)>& change,
                    const std::string& pickle = kModel) {
  auto entries = ArchiveEntries(pickle, {{"0", kEight}});
  change(entries);
  return TestZip(entries);
}
std::string ShortText(std::string_view text) {
  return "\x8c" + std::string(1, static_cast<char>(text.size())) + std::string(text);
}
std::string Frame(std::string_view body) {
  return "\x80\x04\x95" + Raw(uint64_t{body.size() + 1}) + std::string(body) + ".";
}

std::vector<Hostile> Payloads() {
  const auto global = [](std::string_view module, std::string_view name) {
    return Stream(Call(Global(module, name), {Text("x")}));
  };
  std::vector<Hostile> files = {
      {"posix_system", global("posix", "system"), kUnsafe, "posix.system"},
      {"nt_system", global("nt", "system"), kUnsafe, "nt.system"},
      {"eval", global("__builtin__", "eval"), kUnsafe, "__builtin__.eval"},
      {"exec", global("builtins", "exec"), kUnsafe, "builtins.exec"},
      {"getattr", global("builtins", "getattr"), kUnsafe, "builtins.getattr"},
      {"runpy", global("runpy", "_run_code"), kUnsafe, "runpy._run_code"},
      {"pip", global("pip", "main"), kUnsafe, "pip.main"},
      {"bdb", global("bdb", "Bdb.run"), kUnsafe, "bdb.Bdb.run"},
      {"torch_load", global("torch", "load"), kUnsafe, "torch.load"},
      {"load_from_bytes", global("torch.storage", "_load_from_bytes"), kUnsafe, "_load_from_bytes"},
      {"torch_inductor", global("torch._inductor.codecache", "compile_file"), kUnsafe, "codecache"},
      {"asyncio", global("asyncio.unix_events", "_UnixSubprocessTransport._start"), kUnsafe,
       "asyncio"},
      {"partial", global("functools", "partial"), kUnsafe, "functools.partial"},
      {"numpy_load", global("numpy", "load"), kUnsafe, "numpy.load"},
      {"numpy_scalar", global("numpy.core.multiarray", "scalar"), kUnsafe, "multiarray.scalar"},
      {"sklearn", global("sklearn.svm._classes", "SVC"), kUnsafe, "sklearn"},
      {"lightning", global("pytorch_lightning.callbacks", "ModelCheckpoint"), kUnsafe, "lightning"},
      {"trailing_space", global("collections ", "OrderedDict"), kUnsafe, "collections "},
      {"case_differs", global("Collections", "OrderedDict"), kUnsafe, "Collections"},
      {"attribute_of_allowed", global("torch._utils", "_rebuild_tensor_v2.__globals__"), kUnsafe,
       "__globals__"},
      {"attribute_of_rebuild", global("torch", "Size.__class__"), kUnsafe, "Size.__class__"},
      {"storage_of_elsewhere", global("evil", "FloatStorage"), kUnsafe, "evil.FloatStorage"},
      {"script_class_without_script", global("__torch__", "Net"), kUnsafe, "__torch__.Net"},
      {"global_that_is_not_called", Stream(Global("os", "system")), kUnsafe, "os.system"},
      {"call_of_a_storage_type", Stream(Call(Global("torch", "FloatStorage"), {Int(1 << 30)})),
       kUnsafe, "torch.FloatStorage"},
      {"call_of_a_dtype", Stream(Call(Global("torch", "float32"), {})), kUnsafe, "torch.float32"},
      {"call_of_a_tensor_type", Stream(Call(Global("torch", "FloatTensor"), {Int(9)})), kUnsafe,
       "torch.FloatTensor"},
      {"new_object", Stream(Global("torch", "device") + ")\x81"), kUnsafe, "torch.device"},
      {"build_of_a_class", Stream(Global("torch.nn.parameter", "Parameter") +
                                  Tuple({"N", Dict({{"__setstate__", "N"}})}) + "b"),
       kUnsafe, "BUILD"},
      {"inst", "(S'x'\nios\nsystem\n.", kUnsafe, "INST"},
      {"inst_allowed", "(icollections\nOrderedDict\n.", kUnsafe, "INST"},
      {"obj", "(cos\nsystem\nS'x'\no.", kUnsafe, "os.system"},
      {"obj_and_pop", Stream("(" + Global("collections", "OrderedDict") + "o0N"), kUnsafe, "OBJ"},
      {"ext1", Stream("\x82\x01"), kUnsafe, "EXT1"},
      {"ext2", Stream(std::string("\x83\x01\x00", 3)), kUnsafe, "EXT2"},
      {"ext4", Stream(std::string("\x84\x01\x00\x00\x00", 5)), kUnsafe, "EXT4"},
      {"newobj_ex", Stream(Global("collections", "OrderedDict") + ")}\x92"), kUnsafe, "NEWOBJ_EX"},
      {"stack_global", Frame(ShortText("posix") + ShortText("system") + "\x93" + ShortText("x") + "\x85R"),
       kUnsafe, "posix.system"},
      {"stack_global_by_memo",
       Frame(ShortText("os") + "\x94" + ShortText("system") + "\x94" + "00h" + std::string(1, '\0') +
             "h\1\x93)R"),
       kUnsafe, "os.system"},
      {"stack_global_of_made_names",
       Frame(Global("collections", "Counter") + ")R" + ShortText("system") + "\x93)R"), kUnsafe,
       "made while it is loaded"},
      {"stack_global_without_names", Frame("\x93)R"), kUnsafe, "made while"},
      {"behind_a_foreign_opcode", Stream("2" + Payload()), kUnsafe, "posix.system"},
      {"then_broken", Stream(Payload()).substr(0, 40) + "\xff\xff", kUnsafe, "posix.system"},
      {"then_no_stop", "\x80\x02" + Payload(), kUnsafe, "posix.system"},
      {"then_underflow", Stream(Payload() + "0000" + "R"), kUnsafe, "posix.system"},
      {"after_underflow", Stream("R" + Payload()), kUnsafe, "posix.system"},
      {"second_stream", Stream("N") + Stream(Payload()), kUnsafe, "posix.system"},
      {"third_stream_protocol_0", Stream("N") + "N." + Payload() + ".", kUnsafe, "posix.system"},
      {"protocol_0", "c__builtin__\neval\n(S'1'\ntR.", kUnsafe, "__builtin__.eval"},
      {"protocol_5", "\x80\x05" + Payload() + ".", kUnsafe, "posix.system"},
      {"looks_like_safetensors",
       std::string("\x80\x02\x8a\x05\0\0\0\0{", 9) + Payload() + ".", kUnsafe, "posix.system"},
      {"in_a_persistent_id", Stream(Tuple({Text("storage"), Global("os", "system"), Text("0"),
                                           Text("cpu"), Int(1)}) +
                                    "Q"),
       kUnsafe, "os.system"},
      {"saved_module",
       Stream(Tuple({Text("module"), Global("my.net", "Net"), Text("net.py"), Text("")}) + "Q"),
       kUnsafe, "my.net.Net"},
      {"setitem_on_a_tensor", WithTensor(TwoFloats() + Int(0) + Int(1) + "s"), kUnsafe, "SETITEM"},
      {"setitems_on_a_storage", With(Storage("FloatStorage", "0", 2) + "(" + Int(0) + Int(1) + "u"),
       kUnsafe, "SETITEM"},
      {"append_to_a_tensor", WithTensor(TwoFloats() + Int(1) + "a"), kUnsafe, "APPEND"},
      {"tensor_that_is_called", With(TwoFloats() + ")R"), kUnsafe, "called"},
      {"subclass_of_elsewhere",
       With(Call(Global("torch._tensor", "_rebuild_from_type_v2"),
                 {Global("torch._utils", "_rebuild_tensor_v2"), Global("my.net", "Tensor"),
                  Tuple({}), Dict({})})),
       kUnsafe, "my.net.Tensor"},
  };
  return files;
}
INSTANTIATE_TEST_SUITE_P(Payload, HostileFile, testing::ValuesIn(Payloads()), Name);

std::vector<Hostile> PayloadsInFiles() {
  const std::string payload = Stream(Payload());
  using Entries = std::vector<TestZipEntry>;
  return {
      {"archive", InArchive(payload), kUnsafe, "m/data.pkl: posix.system"},
      {"archive_behind_a_model", With(Payload()), kUnsafe, "posix.system"},
      {"archive_second_stream", InArchive(kModel + payload), kUnsafe, "posix.system"},
      {"archive_other_pickle", Changed([&](Entries& e) {
         e.push_back({.name = "m/extra.pkl", .content = payload});
       }),
       kUnsafe, "m/extra.pkl"},
      {"archive_second_data_pkl", Changed([&](Entries& e) {
         e.push_back({.name = "m/data.pkl", .content = payload});
       }),
       kUnsafe, "posix.system"},
      {"archive_without_folder", TestZip({{.name = "data.pkl", .content = payload}}), kUnsafe,
       "posix.system"},
      {"archive_of_something_else", TestZip({{.name = "a.txt", .content = "a"},
                                             {.name = "b/evil.pkl", .content = payload}}),
       kUnsafe, "posix.system"},
      {"archive_local_name", Changed([](Entries& e) { e[0].local_name = "m/data.bin"; }, payload),
       kUnsafe, "posix.system"},
      {"archive_directory_name", Changed([](Entries& e) {
         e[0].local_name = "m/data.pkl";
         e[0].name = "m/data.bin";
       }, payload),
       kUnsafe, "posix.system"},
      {"archive_flag_1", Changed([](Entries& e) { e[0].local_flags = 1; }, payload), kUnsafe,
       "posix.system"},
      {"archive_flag_20", Changed([](Entries& e) { e[0].flags = 0x20; }, payload), kUnsafe,
       "posix.system"},
      {"archive_flag_40", Changed([](Entries& e) { e[0].flags = 0x40; }, payload), kUnsafe,
       "posix.system"},
      {"archive_bad_crc", Changed([](Entries& e) { e[0].crc = 1; }, payload), kUnsafe,
       "posix.system"},
      {"archive_deflated", Changed([](Entries& e) { e[0].deflate = true; }, payload), kUnsafe,
       "posix.system"},
      {"archive_size_lie", Changed([](Entries& e) { e[0].bytes = 3; e[0].deflate = true; }, payload),
       kUnsafe, "posix.system"},
      {"archive_cut_off", InArchive(payload).substr(0, 120), kUnsafe, "posix.system"},
      {"archive_without_directory",
       TestZip(ArchiveEntries(payload, {}), {.without_end = true}).substr(0, 200), kUnsafe,
       "posix.system"},
      {"archive_directory_lies", TestZip(ArchiveEntries(payload, {}), {.entries = 999}), kUnsafe,
       "posix.system"},
      {"archive_version_11", Changed([](Entries& e) { e.back().content = "11\n"; }, payload),
       kUnsafe, "posix.system"},
      {"torchscript", Changed([&](Entries& e) {
         e.push_back({.name = "m/constants.pkl", .content = payload});
       }),
       kUnsafe, "posix.system"},
      {"legacy_object", Legacy(payload, {}, 0), kUnsafe, "posix.system"},
      {"legacy_system_info", std::string(kLegacyMagic) + Stream(Int(1001)) + payload, kUnsafe,
       "posix.system"},
      {"legacy_keys", LegacyHead() + kModel + payload, kUnsafe, "posix.system"},
      {"legacy_behind_the_data", Legacy(kModel, {{"0", kEight}}, 2) + payload, kUnsafe,
       "posix.system"},
      {"legacy_broken_magic", "\x80\x02\x8a\x0b" + std::string(11, 'x') + "." + payload, kUnsafe,
       "posix.system"},
      {"legacy_forged_magic", "\x80\x02L119547037146038801333356L\n." + Stream(Int(1001)) +
                                  Stream(Dict({})) + payload,
       kUnsafe, "posix.system"},
      {"archive_behind_a_pickle", Stream("N") + InArchive(payload), kUnsafe, "posix.system"},
      {"archive_behind_a_legacy_file", Legacy(kModel, {{"0", kEight}}, 2) + InArchive(payload),
       kUnsafe, "posix.system"},
  };
}
INSTANTIATE_TEST_SUITE_P(PayloadIn, HostileFile, testing::ValuesIn(PayloadsInFiles()), Name);

std::vector<Hostile> BrokenPickles() {
  // Lists of ten times the list before: ten billion values from 200 bytes.
  std::string laughs = TwoFloats() + "q" + std::string(1, '\0') + "0";
  for (char i = 0; i < 10; ++i) {
    laughs += "](";
    for (int j = 0; j < 10; ++j) laughs += std::string("h") + i;
    laughs += std::string("eq") + static_cast<char>(i + 1) + "0";
  }
  std::string nested = TwoFloats();
  for (int i = 0; i < 100; ++i) nested += "\x85";
  const auto rebuild = [](std::vector<std::string> args) {
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), args);
  };
  const std::string view = Storage("FloatStorage", "0", 2);
  return {
      {"empty", "", kIncomplete, "it is empty"},
      {"html", "<!DOCTYPE html>", kCorrupt, "begins as no file of PyTorch's"},
      {"zeros", std::string(4096, '\0'), kCorrupt, "begins as no file of PyTorch's"},
      {"protocol_6", "\x80\x06N.", kCorrupt, "protocol 6"},
      {"no_value", InArchive("\x80\x02."), kCorrupt, "finds no value"},
      {"no_mark", With("t"), kCorrupt, "finds no mark"},
      {"mark_in_the_way", With("(\x85"), kCorrupt, "finds no value"},
      {"text_beyond_the_end", InArchive("\x80\x02X\xff\xff\xff\x7f..."), kCorrupt, "within a pickle"},
      {"long_beyond_the_end", InArchive("\x80\x02\x8a\xff."), kCorrupt, "within a pickle"},
      {"unknown_memo", With("h\x63"), kCorrupt, "memo entry 99"},
      {"memo_bomb", With("Nr\xff\xff\xff\xff"), kCorrupt, "memo entry 4294967295"},
      {"memo_far_off", With(std::string("Nr\0\0\x10\0", 6)), kCorrupt, "memo entry 1048576"},
      {"laughs", With(laughs + "h\x0a"), kCorrupt, "more than any model"},
      {"contains_itself", With("]q\1h\1a"), kCorrupt, "contains itself"},
      {"contains_itself_as_state_dict", InArchive(Stream("}q\1" + Text("state_dict") + "h\1s" +
                                                         Text("w") + TwoFloats() + "s")),
       kCorrupt, "contains itself"},
      {"nested_too_deep", With(nested), kCorrupt, "deep in each other"},
      {"setitem_on_a_list", With("]" + Int(0) + Int(1) + "s"), kCorrupt, "no dict"},
      {"setitem_on_a_set", With("\x8f" + Int(0) + Int(1) + "s"), kCorrupt, "no dict"},
      {"setitem_on_none", With("N(" + Int(0) + Int(1) + "u"), kCorrupt, "no dict"},
      {"odd_items", With("}(" + Int(0) + "u"), kCorrupt, "has no value"},
      {"append_to_a_tuple", With(")" + Int(0) + "a"), kCorrupt, "no list"},
      {"append_to_a_dict", With("}" + Int(0) + "a"), kCorrupt, "no list"},
      {"call_of_text", With(Text("x") + ")R"), kCorrupt, "no function"},
      {"call_without_tuple", With(Global("collections", "OrderedDict") + "]R"), kCorrupt,
       "no tuple"},
      {"state_of_a_number", With(Int(1) + "}b"), kCorrupt, "has none"},
      {"state_of_a_dict", With("}}b"), kCorrupt, "has none"},
      {"pairs_that_are_none", With(Call(Global("collections", "OrderedDict"), {List({Int(1)})})),
       kCorrupt, "do not fit"},
      {"no_storage", WithTensor(rebuild({Int(1), Int(0), Ints({}), Ints({}), "\x89", OrderedDict()})),
       kCorrupt, "no storage"},
      {"too_few_arguments", WithTensor(rebuild({view, Int(0)})), kCorrupt, "do not fit"},
      {"size_is_text", WithTensor(rebuild({view, Int(0), Tuple({Text("2")}), Ints({1}), "\x89",
                                           OrderedDict()})),
       kCorrupt, "no whole number"},
      {"negative_size", WithTensor(Tensor(view, 0, {-1}, {1})), kCorrupt, "negative size"},
      {"negative_stride", WithTensor(Tensor(view, 1, {2}, {-1})), kCorrupt, "negative stride"},
      {"negative_offset", WithTensor(Tensor(view, -1, {2}, {1})), kCorrupt, "offset"},
      {"more_strides_than_sizes", WithTensor(Tensor(view, 0, {2}, {1, 1})), kCorrupt, "2 strides"},
      {"beyond_its_storage", WithTensor(Tensor(view, 0, {3}, {1})), kCorrupt, "outside of storage"},
      {"offset_beyond", WithTensor(Tensor(view, 1, {2}, {1})), kCorrupt, "outside of storage"},
      {"stride_beyond", WithTensor(Tensor(view, 0, {2}, {2})), kCorrupt, "outside of storage"},
      {"empty_beyond", WithTensor(Tensor(view, 3, {0}, {1})), kCorrupt, "outside of storage"},
      {"size_overflows", WithTensor(Tensor(view, 0, {INT64_MAX, 4}, {0, 0})), kCorrupt, "overflows"},
      {"reach_overflows", WithTensor(Tensor(view, 0, {3, 3}, {INT64_MAX, INT64_MAX})), kCorrupt,
       "overflows"},
      {"bytes_overflow", WithTensor(Tensor(view, INT64_MAX, {1}, {1})), kCorrupt, "outside"},
      {"rank_65", WithTensor(Tensor(view, 0, std::vector<int64_t>(65, 1),
                                    std::vector<int64_t>(65, 1))),
       kUnsupported, "at most 64"},
      {"storage_too_large", WithTensor(Tensor(Storage("FloatStorage", "0", 3), 0, {2}, {1})),
       kCorrupt, "3 elements"},
      {"storage_too_small", WithTensor(Tensor(Storage("FloatStorage", "0", 1), 0, {1}, {1})),
       kCorrupt, "1 elements"},
      {"storage_overflows",
       WithTensor(Tensor(Storage("FloatStorage", "0", INT64_MAX), 0, {1}, {1})), kCorrupt,
       "elements of 4 bytes"},
      {"negative_storage", WithTensor(Tensor(Storage("FloatStorage", "0", -1), 0, {1}, {1})),
       kCorrupt, "storage's size"},
      {"storage_missing", WithTensor(Tensor(Storage("FloatStorage", "9", 2), 0, {1}, {1})),
       kCorrupt, "not in the archive"},
      {"storage_leads_out", WithTensor(Tensor(Storage("FloatStorage", "../../x", 2), 0, {1}, {1})),
       kCorrupt, "not in the archive"},
      {"persistent_id_of_text", With(Text("storage") + "Q"), kCorrupt, "names no storage"},
      {"persistent_id_of_a_dtype", With(Tuple({Text("storage"), Global("torch", "float32"),
                                               Text("0"), Text("cpu"), Int(2)}) +
                                        "Q"),
       kCorrupt, "names no storage"},
  };
}
INSTANTIATE_TEST_SUITE_P(Pickle, HostileFile, testing::ValuesIn(BrokenPickles()), Name);

std::vector<Hostile> BrokenFiles() {
  using Entries = std::vector<TestZipEntry>;
  const auto tar_of = [](std::string_view name, const std::string& content) {
    std::string file(512, '\0');
    file.replace(0, name.size(), name);
    file.replace(124, 11, fmt::format("{:011o}", content.size()));
    file.replace(148, 8, "        ");
    uint64_t sum = 0;
    for (const char c : file) sum += static_cast<unsigned char>(c);
    file.replace(148, 6, fmt::format("{:06o}", sum));
    file[154] = '\0';
    file += content;
    file.resize(AlignUp(file.size(), 512));
    return file + std::string(1024, '\0');
  };
  const std::string plain = Stream(Dict({{"a", Int(1)}}));
  return {
      {"bad_crc", Changed([](Entries& e) { e[0].crc = 1; }), kCorrupt, "checksum"},
      {"flag_1", Changed([](Entries& e) { e[0].local_flags = 1; }), kCorrupt, "encrypted"},
      {"two_data_pkl", Changed([](Entries& e) { e.push_back(e[0]); }), kCorrupt, "two entries"},
      {"two_storages", Changed([](Entries& e) { e.push_back(e[2]); }), kCorrupt, "two entries"},
      {"leads_out", Changed([](Entries& e) { e.push_back({.name = "../x", .content = ""}); }),
       kUnsafe, "outside of its folder"},
      {"storage_beyond_the_file", Changed([](Entries& e) {
         e[2].bytes = e[2].stored_bytes = 1 << 30;
       }),
       kCorrupt, "size"},
      {"no_version", Changed([](Entries& e) { e.pop_back(); }), kCorrupt, "no version"},
      {"version_is_text", Changed([](Entries& e) { e.back().content = "three"; }), kCorrupt,
       "no number"},
      {"version_0", Changed([](Entries& e) { e.back().content = "0"; }), kUnsupported,
       "archive version 0"},
      {"version_11", Changed([](Entries& e) { e.back().content = "11\n"; }), kUnsupported,
       "archive version 11"},
      {"big_endian", Changed([](Entries& e) { e[1].content = "big"; }), kUnsupported, "big-endian"},
      {"middle_endian", Changed([](Entries& e) { e[1].content = "middle"; }), kCorrupt,
       "byte order"},
      {"data_pkl_elsewhere", Changed([](Entries& e) {
         e.insert(e.begin(), TestZipEntry{.name = "other/x", .content = ""});
       }),
       kCorrupt, "does not lie in the folder"},
      {"bomb", Changed([](Entries& e) {
         e[0].content = "\x80\x02" + std::string(8 * kMiB, 'N');
         e[0].deflate = true;
       }),
       kCorrupt, "unpacks to more"},
      {"bzip2", Changed([](Entries& e) { e[0].method = 12; }), kUnsupported, "method 12"},
      {"protocol_4", InArchive(Frame(Dict({{"w", TwoFloats()}}))), kUnsupported, "FRAME"},
      {"dup", With("N20"), kUnsupported, "DUP"},
      {"dtype_not_read_here",
       With(Call(Global("torch._utils", "_rebuild_tensor_v3"),
                 {Storage("FloatStorage", "0", 2), Int(0), Ints({1}), Ints({1}), "\x89",
                  OrderedDict(), Global("torch", "complex32")})),
       kUnsupported, "torch.complex32"},
      {"numpy_on_device", With(Call(Global("torch._utils", "_rebuild_device_tensor_from_numpy"),
                                    {Int(0), Int(0), Int(0), Int(0)})),
       kUnsupported, "_rebuild_device_tensor_from_numpy"},
      {"archive_without_tensors", InArchive(plain), kUnrecognized, "without tensors"},
      {"ordinary_zip", TestZip({{.name = "a/b.txt", .content = "b"}}), kUnrecognized, "no model"},
      {"folders_only", TestZip({{.name = "m/", .content = ""}, {.name = "m/data.pkl/", .content = ""}}),
       kUnrecognized, "no model"},
      {"old_torchscript", TestZip({{.name = "m/model.json", .content = "{}"}}), kUnsupported,
       "before PyTorch 1.0"},
      {"legacy_version", std::string(kLegacyMagic) + Stream(Int(1000)) + Stream(Dict({})) +
                             Stream(Dict({})) + Stream(List({})),
       kUnsupported, "another version than 1001"},
      {"legacy_big_endian", std::string(kLegacyMagic) + Stream(Int(1001)) +
                                Stream(Dict({{"little_endian", "\x89"}})) + Stream(Dict({})) +
                                Stream(List({})),
       kUnsupported, "big-endian"},
      {"legacy_numel_differs", Legacy(kModel, {{"0", kEight}}, 1), kCorrupt, "the file has 1"},
      {"legacy_numel_beyond", Legacy(kModel, {{"0", kEight}}, 3), kIncomplete, "it is cut off"},
      {"legacy_numel_overflows", Legacy(kModel, {{"0", kEight}}, UINT64_MAX), kCorrupt,
       "more than any model's file has"},
      {"archive_without_its_end", InArchive(kModel).substr(0, 400), kIncomplete, "no end record"},
      {"legacy_storage_missing", Legacy(kModel, {}, 0), kCorrupt, "not in the file"},
      {"legacy_storage_unused", Legacy(kModel, {{"0", kEight}, {"1", kEight}}, 2), kCorrupt,
       "no tensor uses"},
      {"legacy_storage_twice", Legacy(kModel, {{"0", kEight}, {"0", kEight}}, 2), kCorrupt,
       "comes twice"},
      {"legacy_view_beyond",
       Legacy(Stream(Dict({{"w", Tensor(Storage("FloatStorage", "0", 2,
                                                Tuple({Text("1"), Int(1), Int(2)})),
                                        0, {1}, {1})}})),
              {{"0", kEight}}, 2),
       kCorrupt, "outside of it"},
      {"legacy_without_tensors", Legacy(plain, {}, 0), kUnrecognized, "without tensors"},
      {"plain_data", plain, kUnrecognized, "plain data"},
      {"plain_data_protocol_4", Frame("}\x94" + ShortText("a") + "\x94K\1s"), kUnrecognized,
       "plain data"},
      {"plain_data_protocol_0", "\x80\x02(lp0\nI1\naI2\na.", kUnrecognized, "plain data"},
      {"plain_data_in_streams", plain + plain, kUnrecognized, "plain data"},
      {"plain_data_and_garbage", plain + "garbage", kIncomplete, "within a pickle"},
      {"dup_bomb", Stream("]q\1" + std::string(1000, '2')), kUnsupported, "DUP"},
      {"pickle_without_its_archive", kModel, kIncomplete, "without the data"},
      {"tar", tar_of("pickle", kModel), kUnsupported, "tar archive"},
      {"tar_of_something", tar_of("readme", "x"), kUnrecognized, "holds no model"},
      {"tar_payload", tar_of("pickle", Stream(Payload())), kUnsafe, "posix.system"},
      {"tar_leads_out", tar_of("../x", ""), kUnsafe, "outside of its folder"},
      {"tar_cut_off", tar_of("pickle", kModel).substr(0, 520), kCorrupt, "cut off"},
  };
}
INSTANTIATE_TEST_SUITE_P(File, HostileFile, testing::ValuesIn(BrokenFiles()), Name);

// A file that is a pickle by its name alone may be anything at the end of a link.
TEST(ForeignFileTest, IsNotQuoted) {
  for (const std::string text : {"cpassword\nhunter2\n", "hunter2\n", "(hunter2\n", "S'hunter2'\n.",
                                 "ihunter2\nhunter2\n", "\n\nhunter2"}) {
    MemorySource source(AsBytes(text));
    FilesForTest none;
    FileContents contents;
    const Status status = PytorchReader().Read(source, none, contents);
    EXPECT_FALSE(status.ok()) << text;
    EXPECT_THAT(std::string(Message(status)), Not(HasSubstr("hunter2"))) << text;
    for (const Finding& finding : contents.findings) {
      EXPECT_THAT(finding.message, Not(HasSubstr("hunter2"))) << text;
    }
  }
}

}  // namespace
}  // namespace warmset
