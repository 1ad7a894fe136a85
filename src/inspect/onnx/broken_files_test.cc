// Files that break ONNX's rules, each with what is said about it.
#include "base/digest.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/onnx/reader.h"
#include "inspect/onnx/test_onnx.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using namespace onnx_test;
using testing::HasSubstr;

constexpr auto kCorrupt = ErrorCode::kCorruptedModel;
constexpr auto kUnsafe = ErrorCode::kUnsafeModel;
constexpr auto kUnsupported = ErrorCode::kUnsupportedFormat;
constexpr auto kIncomplete = ErrorCode::kIncompleteModel;

constexpr uint64_t kInt64Max = INT64_MAX;

struct Broken {
  std::string_view name;
  std::string file;
  std::string_view message;
  ErrorCode code = kCorrupt;
};

class BrokenOnnx : public testing::TestWithParam<Broken> {};

TEST_P(BrokenOnnx, IsRefusedWithItsReason) {
  const Status status =
      ReadForTest(OnnxReader(), GetParam().file, {{"w.bin", std::string(100, 'w')}}).status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(CodeOf(status), GetParam().code) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(GetParam().message)));
}

std::string NameOf(const testing::TestParamInfo<Broken>& test) {
  return std::string(test.param.name);
}

std::string Weight(std::string_view name = "w") { return RawTensor(name, kFloat, {2}, 8); }

// A model whose weight is external.
std::string External(std::string_view location, std::string_view rest = "") {
  return AddModel(
      ExternalTensor("w", {2}, ExternalEntry("location", location) + std::string(rest)));
}

std::vector<Broken> BrokenModels() {
  const std::string graph = AddGraph(Weight());
  return {
      {"empty_file", "", "ir_version is 0"},
      {"text", "this is not a model", "wire type 4"},
      {"zeros", std::string(64, '\0'), "number 0"},
      {"ort_file", std::string("\x18\0\0\0ORTM", 8) + std::string(64, '\0'), "ORT file",
       kUnsupported},
      {"no_ir_version", Bytes(7, graph) + Opset("", 17), "ir_version is 0"},
      {"ir_version_zero", ModelOf(0, graph, Opset("", 17)), "ir_version is 0"},
      {"ir_version_negative", ModelOf(static_cast<uint64_t>(-1), graph, Opset("", 17)),
       "ir_version is -1"},
      {"ir_version_15", ModelOf(15, graph, Opset("", 17)), "IR version 15", kUnsupported},
      {"no_graph", Number(1, 8) + Opset("", 17), "no graph"},
      {"two_graphs", Model(graph) + Bytes(7, graph), "two graphs"},
      {"no_opset", ModelOf(8, graph, ""), "no opset_import"},
      {"opset_in_ir_2", ModelOf(2, AddGraph(Weight(), Input("w")), Opset("", 1)),
       "IR version 2 does not have"},
      {"opset_zero", ModelOf(8, graph, Opset("", 0)), "version 0"},
      {"opset_negative", ModelOf(8, graph, Opset("", static_cast<uint64_t>(-3))), "version -3"},
      {"opset_of_2_to_the_40", ModelOf(8, graph, Opset("", uint64_t{1} << 40)), "version"},
      {"opset_29", ModelOf(8, graph, Opset("", 29)), "version 29 of the operators of ai.onnx",
       kUnsupported},
      {"ml_opset_6", Model(graph, Opset("ai.onnx.ml", 6)), "ai.onnx.ml", kUnsupported},
      {"training_opset_2", Model(graph, Opset("ai.onnx.preview.training", 2)), "training",
       kUnsupported},
      {"duplicate_metadata_key",
       Model(graph, Bytes(14, Entry("k", "1")) + Bytes(14, Entry("k", "2"))), "two keys 'k'"},
      {"content_after_graph_cut_off", Model(graph) + "\x72\x7f", "cut off",
       ErrorCode::kIncompleteModel},
      {"group", Model(graph) + Tag(30, 3), "wire type 3"},
  };
}
INSTANTIATE_TEST_SUITE_P(Models, BrokenOnnx, testing::ValuesIn(BrokenModels()), NameOf);

std::vector<Broken> BrokenGraphs() {
  const std::string deep_type = [] {
    std::string type = Bytes(1, Number(1, 1));
    for (int i = 0; i < 200; ++i) type = Bytes(4, Bytes(1, type));
    return type;
  }();
  const auto loop = Node("Identity", "b", "a") + Node("Identity", "a", "b");
  return {
      {"graph_without_name", Model(Node("Identity", "x", "y") + Input("x") + Output("y")),
       "no name"},
      {"duplicate_initializer", AddModel(Weight(), Initializer(Weight())), "two initializers 'w'"},
      {"initializer_without_name", AddModel(Weight(), Initializer(Weight(""))), "no name"},
      {"duplicate_sparse_initializer",
       AddModel(Weight(),
                Bytes(15, Bytes(1, Weight()) + Bytes(2, RawTensor("", 7, {2}, 16)) + Number(3, 9))),
       "two initializers 'w'"},
      {"initializer_is_no_input_in_ir_3", ModelOf(3, AddGraph(Weight()), Opset("", 7)),
       "no input of its graph"},
      {"duplicate_input", IdentityModel(Input("x")), "two inputs 'x'"},
      {"input_without_name", IdentityModel(Bytes(11, Bytes(2, Bytes(1, Number(1, 1))))), "no name"},
      {"input_without_type", IdentityModel(Bytes(11, Bytes(1, "v"))), "no type"},
      {"input_without_element_type",
       IdentityModel(Bytes(11, Bytes(1, "v") + Bytes(2, Bytes(1, "")))), "no type"},
      {"type_nested_too_deep", IdentityModel(Bytes(11, Bytes(1, "v") + Bytes(2, deep_type))),
       "nested deeper"},
      {"shape_cut_off",
       IdentityModel(
           Bytes(11, Bytes(1, "v") + Bytes(2, Bytes(1, Number(1, 1) + Bytes(2, "\x0a\x7f"))))),
       "cut off"},
      {"value_info_cut_off", IdentityModel(Bytes(13, Bytes(1, "v") + Bytes(2, "\x0a\x7f"))),
       "cut off"},
      {"output_of_no_node", IdentityModel(Output("missing")), "made by no node"},
      {"not_in_topological_order",
       IdentityModel(Node("Identity", "b", "a") + Node("Identity", "x", "b")), "uses 'b'"},
      {"cycle_of_nodes", IdentityModel(loop), "uses 'b'"},
      {"node_uses_itself", IdentityModel(Node("Identity", "a", "a")), "uses 'a'"},
      {"undefined_input", IdentityModel(Node("Identity", "nothing", "a")), "uses 'nothing'"},
      {"output_made_twice", IdentityModel(Node("Identity", "x", "a") + Node("Identity", "x", "a")),
       "there already"},
      {"output_is_an_input", IdentityModel(Node("Identity", "x", "x")), "there already"},
      {"output_twice_in_a_node", IdentityModel(Node("Split", "x", "a,a")), "there already"},
      {"output_hides_an_outer_name",
       IdentityModel(Node("Identity", "x", "a") +
                     If("i", "z", ConstantGraph("a"), ConstantGraph("b"))),
       "there already"},
      {"subgraph_sees_no_later_names",
       IdentityModel(
           Node("If", "x", "z",
                GraphAttribute("then_branch", Node("Identity", "later", "q") + GraphName() +
                                                  Bytes(12, Bytes(1, "q")))) +
           Node("Identity", "x", "later")),
       "uses 'later'"},
      {"names_of_a_subgraph_stay_in_it",
       IdentityModel(If("i", "z", ConstantGraph("a"), ConstantGraph("b")) +
                     Node("Identity", "a", "c")),
       "uses 'a'"},
      {"node_without_operator", IdentityModel(Node("", "x", "a")), "no operator"},
      {"node_without_inputs_and_outputs", IdentityModel(Node("Identity", "", "")),
       "neither inputs nor outputs"},
      {"domain_without_opset", IdentityModel(Node("Op", "x", "a", NodeDomain("other"))),
       "no opset_import"},
      {"duplicate_attribute",
       IdentityModel(Node("LeakyRelu", "x", "a",
                          Attribute("alpha", 1, Float(2, 1)) + Attribute("alpha", 1, Float(2, 2)))),
       "there twice"},
      {"attribute_without_name",
       IdentityModel(Node("LeakyRelu", "x", "a", Attribute("", 1, Float(2, 1)))), "no name"},
      {"attribute_without_type",
       IdentityModel(Node("LeakyRelu", "x", "a", Bytes(5, Bytes(1, "alpha") + Float(2, 1)))),
       "no type"},
      {"attribute_of_an_unknown_type",
       IdentityModel(Node("LeakyRelu", "x", "a", Attribute("alpha", 99, Float(2, 1)))), "no type"},
      {"attribute_of_another_type",
       IdentityModel(Node("LeakyRelu", "x", "a", Attribute("alpha", 2, Float(2, 1)))),
       "another type"},
      {"attribute_with_two_values",
       IdentityModel(
           Node("LeakyRelu", "x", "a", Attribute("alpha", 1, Float(2, 1) + Number(3, 1)))),
       "several types"},
      {"attribute_with_two_graphs",
       IdentityModel(Node("If", "x", "a",
                          Attribute("then_branch", 5,
                                    Bytes(6, ConstantGraph("b")) + Bytes(6, ConstantGraph("c"))))),
       "two values"},
      {"attribute_refers_and_has_a_value",
       Model(AddGraph(Weight()),
             Opset("local", 1) +
                 Function("f", FunctionNode("LeakyRelu", "x", "y",
                                            Attribute("alpha", 1, Float(2, 1) + Bytes(21, "a"))))),
       "refers to another"},
  };
}
INSTANTIATE_TEST_SUITE_P(Graphs, BrokenOnnx, testing::ValuesIn(BrokenGraphs()), NameOf);

std::vector<Broken> BrokenTensors() {
  const auto tensor = [](const std::string& head_and_data) { return AddModel(head_and_data); };
  const std::string indices = Bytes(2, RawTensor("", 7, {2}, 16));
  const auto sparse = [](std::string_view parts) {
    return IdentityModel(
        Node("Constant", "", "c", Attribute("sparse_value", 11, Bytes(22, parts))));
  };
  return {
      {"raw_data_too_short", tensor(RawTensor("w", kFloat, {3}, 8)), "make 12"},
      {"raw_data_too_short_for_a_large_shape",
       tensor(RawTensor("w", kFloat, {uint64_t{1} << 31, 4}, 8)), "make 34359738368"},
      {"negative_dim", tensor(RawTensor("w", kFloat, {static_cast<uint64_t>(-1)}, 8)),
       "dimension -1"},
      {"dims_overflow", tensor(RawTensor("w", kFloat, {uint64_t{1} << 32, uint64_t{1} << 32}, 8)),
       "overflows"},
      {"dims_overflow_to_zero",
       tensor(RawTensor("w", kFloat, {uint64_t{1} << 31, uint64_t{1} << 31, 4}, 8)), "overflows"},
      {"dims_overflow_before_zero", tensor(RawTensor("w", kFloat, {kInt64Max, 3, 0}, 0)),
       "overflows"},
      {"size_overflows", tensor(RawTensor("w", 15, {kInt64Max}, 8)), "overflows"},
      {"packed_size_overflows", tensor(RawTensor("w", 27, {kInt64Max}, 8)), "overflows"},
      {"no_data_type", tensor(Dims({2}) + Bytes(8, "w") + Bytes(9, "rrrrrrrr")), "no data type"},
      {"data_type_undefined", tensor(RawTensor("w", 0, {2}, 8)), "no data type"},
      {"data_type_negative", tensor(RawTensor("w", static_cast<uint64_t>(-1), {2}, 8)),
       "data type is -1"},
      {"data_type_29", tensor(RawTensor("w", 29, {2}, 8)), "data type is 29", kUnsupported},
      {"no_values", tensor(TensorHead("w", kFloat, {2})), "no values"},
      {"values_without_elements", tensor(RawTensor("w", kFloat, {0}, 4)), "no elements"},
      {"values_in_two_fields", tensor(RawTensor("w", kFloat, {2}, 8) + Bytes(4, "ffffffff")),
       "more than one field"},
      {"values_in_the_wrong_field", tensor(TensorHead("w", kFloat, {1}) + Bytes(7, "\1")),
       "not for the type FLOAT"},
      {"text_in_raw_data", tensor(RawTensor("w", 8, {2}, 8)), "text"},
      {"too_few_floats", tensor(TensorHead("w", kFloat, {3}) + Bytes(4, "ffffffff")), "2 values"},
      {"too_few_parts_of_complex_numbers", tensor(TensorHead("w", 14, {1}) + Bytes(4, "ffff")),
       "1 values"},
      {"too_few_integers", tensor(TensorHead("w", 7, {4}) + Bytes(7, "\1\2\3")), "3 values"},
      {"too_few_integers_of_two_bytes", tensor(TensorHead("w", 7, {3}) + Bytes(7, "\x80\1\x80\1")),
       "2 values"},
      {"too_few_packed_nibbles", tensor(TensorHead("w", 21, {9}) + Bytes(5, "\1")), "1 values"},
      {"too_few_strings", tensor(TensorHead("w", 8, {2}) + Bytes(6, "a")), "1 values"},
      {"count_of_2_to_the_31", tensor(TensorHead("w", 7, {uint64_t{1} << 31}) + Bytes(7, "\1")),
       "1 values"},
      {"floats_cut_in_a_value", tensor(TensorHead("w", kFloat, {1}) + Bytes(4, "fffff")),
       "no multiple of 4"},
      {"packed_number_cut_off", tensor(TensorHead("w", 7, {1}) + Bytes(7, "\x80")), "cut off"},
      {"unknown_data_location", tensor(RawTensor("w", kFloat, {2}, 8) + Number(14, 2)),
       "data_location is 2"},
      {"rank_65",
       tensor(TensorHead("w", kFloat, {}) + Bytes(1, std::string(65, '\1')) + Bytes(9, "rrrr")),
       "more than 64", kUnsupported},
      {"sparse_without_values", sparse(indices + Number(3, 9)), "no values"},
      {"sparse_without_dims", sparse(Bytes(1, Weight()) + indices), "no dims"},
      {"sparse_with_a_zero_dim", sparse(Bytes(1, Weight()) + indices + Number(3, 0)), "positive"},
      {"sparse_without_indices", sparse(Bytes(1, Weight()) + Number(3, 9)), "no indices"},
      {"sparse_indices_of_another_type",
       sparse(Bytes(1, Weight()) + Bytes(2, RawTensor("", 6, {2}, 8)) + Number(3, 9)), "INT64"},
      {"sparse_count_differs",
       sparse(Bytes(1, Weight()) + Bytes(2, RawTensor("", 7, {3}, 24)) + Number(3, 9)),
       "another number"},
      {"sparse_rank_differs",
       sparse(Bytes(1, Weight()) + Bytes(2, RawTensor("", 7, {2, 3}, 48)) + Number(3, 9)),
       "another rank"},
  };
}
INSTANTIATE_TEST_SUITE_P(Tensors, BrokenOnnx, testing::ValuesIn(BrokenTensors()), NameOf);

std::vector<Broken> BrokenExternalData() {
  return {
      {"outside", External("../w.bin"), "outside of its folder", kUnsafe},
      {"outside_by_a_detour", External("a/../../w.bin"), "outside", kUnsafe},
      {"dots_that_stay_inside", External("a/../w.bin"), "outside", kUnsafe},
      {"only_dots", External(".."), "outside", kUnsafe},
      {"outside_by_backslashes", External("..\\w.bin"), "outside", kUnsafe},
      {"outside_by_mixed_slashes", External("a/..\\../w.bin"), "outside", kUnsafe},
      {"absolute", External("/etc/passwd"), "absolute", kUnsafe},
      {"absolute_elsewhere", External("\\\\server\\share"), "absolute", kUnsafe},
      {"drive", External("C:w.bin"), "absolute", kUnsafe},
      {"nul", External(std::string_view("w.bin\0x", 7)), "NUL", kUnsafe},
      {"memory_address", External("*/_ORT_MEM_ADDR_/*", ExternalEntry("offset", "140737488355328")),
       "memory", kUnsafe},
      {"empty_location", External(""), "names no file"},
      {"location_of_the_folder", External("./"), "names no file"},
      {"no_location", AddModel(ExternalTensor("w", {2}, ExternalEntry("offset", "0"))),
       "without a location"},
      {"missing", External("other.bin"), "not there", kIncomplete},
      {"negative_offset", External("w.bin", ExternalEntry("offset", "-4")), "offset '-4'"},
      {"negative_length", External("w.bin", ExternalEntry("length", "-1")), "length '-1'"},
      {"offset_is_text", External("w.bin", ExternalEntry("offset", "4k")), "offset '4k'"},
      {"offset_with_a_space", External("w.bin", ExternalEntry("offset", " 4")), "offset ' 4'"},
      {"offset_is_empty", External("w.bin", ExternalEntry("offset", "")), "offset ''"},
      {"offset_above_64_bits", External("w.bin", ExternalEntry("offset", "18446744073709551616")),
       "no number"},
      {"offset_beyond_the_file", External("w.bin", ExternalEntry("offset", "101")),
       "'w.bin': it is cut off: 100 of 101 bytes", ErrorCode::kIncompleteModel},
      {"length_beyond_the_file", External("w.bin", ExternalEntry("length", "200")),
       "'w.bin': it is cut off: 100 of 200 bytes", ErrorCode::kIncompleteModel},
      {"huge_offset", External("w.bin", ExternalEntry("offset", "18446744073709551615")),
       "more than any model's file"},
      {"huge_length", External("w.bin", ExternalEntry("length", "18446744073709551615")),
       "more than any model's file"},
      {"offset_and_length_overflow",
       External("w.bin",
                ExternalEntry("offset", "8") + ExternalEntry("length", "18446744073709551612")),
       "more than any model's file"},
      {"length_below_the_shape", External("w.bin", ExternalEntry("length", "4")), "make 8"},
      {"file_ends_early", External("w.bin", ExternalEntry("offset", "96")), "make 8"},
      {"two_locations", External("w.bin", ExternalEntry("location", "v.bin")), "two entries"},
      {"external_and_raw_data",
       AddModel(Weight() + ExternalEntry("location", "w.bin") + Number(14, 1)), "values, too"},
      {"external_text",
       AddModel(TensorHead("w", 8, {2}) + ExternalEntry("location", "w.bin") + Number(14, 1)),
       "text"},
      {"outside_in_a_subgraph",
       IdentityModel(
           If("i", "z", ConstantGraph("a"),
              ConstantGraph("b") +
                  Initializer(ExternalTensor("w", {2}, ExternalEntry("location", "../w.bin"))))),
       "outside", kUnsafe},
      {"outside_in_a_constant",
       IdentityModel(
           Node("Constant", "", "c",
                TensorAttribute("value",
                                ExternalTensor("", {2}, ExternalEntry("location", "../w.bin"))))),
       "outside", kUnsafe},
      {"outside_beside_a_broken_shape",
       AddModel(ExternalTensor("w", {kInt64Max, kInt64Max}, ExternalEntry("location", "../w.bin"))),
       "outside", kUnsafe},
  };
}
INSTANTIATE_TEST_SUITE_P(ExternalData, BrokenOnnx, testing::ValuesIn(BrokenExternalData()), NameOf);

// A model that calls f0, and functions each of which calls others, "1,1" twice.
std::string Calls(const std::vector<std::string>& callees) {
  std::string functions;
  for (size_t i = 0; i < callees.size(); ++i) {
    std::string body = FunctionNode("Relu", "x", "y");
    size_t n = 0;
    std::string_view names = callees[i];
    while (!names.empty()) {
      const size_t comma = names.find(',');
      body += FunctionNode(fmt::format("f{}", names.substr(0, comma)), "x", fmt::format("c{}", n++),
                           NodeDomain("local"));
      names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
    }
    functions += Function(fmt::format("f{}", i), body);
  }
  return IdentityModel(Node("f0", "x", "z", NodeDomain("local")), Opset("local", 1) + functions);
}

std::vector<std::string> Chain(size_t functions, std::string_view call) {
  std::vector<std::string> callees;
  for (size_t i = 1; i < functions; ++i) {
    callees.push_back(fmt::format(fmt::runtime(call), fmt::arg("n", i)));
  }
  callees.emplace_back();
  return callees;
}

std::vector<Broken> BrokenFunctions() {
  const std::string opset = Opset("local", 1);
  return {
      {"function_calls_itself", Calls({"0"}), "calls itself"},
      {"functions_call_each_other", Calls({"1", "2", "0"}), "calls itself"},
      {"uncalled_function_calls_itself", Calls({"", "1"}), "calls itself"},
      {"call_in_a_subgraph",
       IdentityModel(
           "", opset + Function("f", FunctionNode(
                                         "If", "x", "y",
                                         GraphAttribute("then_branch",
                                                        Node("f", "x", "z", NodeDomain("local")) +
                                                            GraphName())))),
       "calls itself"},
      {"chain_of_too_many_calls", Calls(Chain(150, "{n}")), "more than 100 calls"},
      {"calls_unfold_without_bounds", Calls(Chain(60, "{n},{n}")), "unfold", kUnsupported},
      {"function_twice",
       IdentityModel("", opset + Function("f", FunctionNode("Relu", "x", "y")) +
                             Function("f", FunctionNode("Relu", "x", "y"))),
       "two functions"},
      {"function_without_name", IdentityModel("", opset + Function("", "")), "no name"},
      {"function_without_domain",
       IdentityModel("", Bytes(25, Bytes(1, "f") + FunctionOpset("", 17))), "no domain"},
      {"function_with_two_equal_inputs", IdentityModel("", opset + Function("f", Bytes(4, "x"))),
       "two inputs 'x'"},
      {"function_with_two_equal_outputs", IdentityModel("", opset + Function("f", Bytes(5, "y"))),
       "two outputs 'y'"},
      {"function_with_two_equal_attributes",
       IdentityModel("", opset + Function("f", Bytes(6, "a") + Bytes(6, "a"))),
       "two attributes 'a'"},
      {"function_uses_names_of_the_graph",
       AddModel(Weight()) + opset + Function("f", FunctionNode("Relu", "w", "y")), "uses 'w'"},
      {"function_without_its_opset",
       IdentityModel("", opset + Bytes(25, Bytes(1, "f") + Bytes(10, "local") + Bytes(4, "x") +
                                               FunctionNode("Relu", "x", "y"))),
       "no opset_import"},
      {"function_with_opset_29",
       IdentityModel("",
                     opset + Bytes(25, Bytes(1, "f") + Bytes(10, "local") + FunctionOpset("", 29))),
       "version 29", kUnsupported},
  };
}
INSTANTIATE_TEST_SUITE_P(Functions, BrokenOnnx, testing::ValuesIn(BrokenFunctions()), NameOf);

// The holes that were found in ONNX's own tools, by their numbers.
std::vector<Broken> PublicHoles() {
  const std::string injected = ExternalEntry("location", "../../secret") +
                               ExternalEntry("__class__", "os") + ExternalEntry("offset", "0");
  return {
      // A location that leaves the model's folder.
      {"CVE_2022_25882", External("../../../../../etc/passwd"), "outside", kUnsafe},
      // The same behind a folder that is there.
      {"CVE_2024_27318", External("sub/../../../etc/passwd"), "outside", kUnsafe},
      // A location that a check of text takes for contained and a loader does not.
      {"CVE_2026_27489", External("a/./..//../etc/passwd"), "outside", kUnsafe},
      // Keys of external data that become attributes of the loader's object.
      {"CVE_2026_34445", AddModel(ExternalTensor("w", {2}, injected)), "outside", kUnsafe},
  };
}
INSTANTIATE_TEST_SUITE_P(PublicHoles, BrokenOnnx, testing::ValuesIn(PublicHoles()), NameOf);

TEST(PublicHolesOfOnnx, CVE_2026_34445_UnknownKeysAreIgnoredWithAWarning) {
  const auto contents =
      ReadForTest(OnnxReader(), External("w.bin", ExternalEntry("__class__", "os")),
                  {{"w.bin", std::string(100, 'w')}});
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->findings.size(), 1u);
  EXPECT_THAT(contents->findings[0].message, HasSubstr("__class__"));
}

// Links are refused by whoever opens the file; the reader passes that on.
TEST(PublicHolesOfOnnx, CVE_2026_34446_AndCVE_2026_34447_LinksAreUnsafe) {
  class Link final : public OtherFiles {
   public:
    StatusOr<ByteSource*> Open(const std::string& path) override {
      return Error(ErrorCode::kUnsafeModel, path + " is a link that leads out of the folder");
    }
  };
  const std::string file = External("w.bin");
  MemorySource source(AsBytes(file));
  Link others;
  FileContents contents;
  EXPECT_EQ(CodeOf(OnnxReader().Read(source, others, contents)), kUnsafe);
}

}  // namespace
}  // namespace warmset
