#include "inspect/onnx/graph_reader.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/onnx/attribute_types.h"
#include "inspect/onnx/value_type.h"
#include "tensor/tensor_index.h"

namespace warmset::onnx {
namespace {

constexpr size_t kMaxNameBytes = 64 * kKiB;
constexpr size_t kMaxOperatorNameBytes = 1 * kKiB;
constexpr size_t kMaxAttributes = 4096;  // of a node
constexpr size_t kMaxOperators = 65'536;
constexpr uint64_t kTensorOverhead = 96;  // in tables, here and later
// A graph or tensor in an attribute of a node of a graph.
constexpr int kNestingOfSubgraph = 3;

}  // namespace

Status GraphReader::ReadMainGraph(WireSpan graph, const OpsetImports& opsets) {
  functions_.EnterGraph();
  NameScopes scopes(budget_);
  return ReadGraph(graph, {.opsets = opsets,
                           .scopes = scopes,
                           .prefix = "",
                           .nesting = 1,
                           .is_main = true,
                           .names_are_complete = true});
}

Status GraphReader::ReadTrainingGraph(WireSpan graph, const OpsetImports& opsets,
                                      std::string prefix) {
  functions_.EnterGraph();
  NameScopes scopes(budget_);
  return ReadGraph(graph, {.opsets = opsets,
                           .scopes = scopes,
                           .prefix = std::move(prefix),
                           .nesting = 2,
                           .is_main = false,
                           .names_are_complete = false});
}

Status GraphReader::ReadFunction(WireSpan function, const OpsetImports& opsets,
                                 std::string prefix) {
  NameScopes scopes(budget_);
  scopes.Enter();
  NameScopes outputs(budget_);
  outputs.Enter();
  NameScopes attributes(budget_);
  attributes.Enter();
  std::string name;
  WireMessage fields(source_, function);
  while (fields.Next()) {
    const WireField& field = fields.field();
    NameScopes* unique = nullptr;
    if (field.Is(4, WireType::kBytes)) unique = &scopes;
    if (field.Is(5, WireType::kBytes)) unique = &outputs;
    if (field.Is(6, WireType::kBytes)) unique = &attributes;
    if (unique == nullptr) continue;
    RETURN_IF_ERROR(ReadName(field, name));
    if (unique->InThisGraph(name)) {
      Broken(field.offset, fmt::format("a function has two {}s '{}'",
                                       unique == &scopes    ? "input"
                                       : unique == &outputs ? "output"
                                                            : "attribute",
                                       Shown(name)));
    }
    RETURN_IF_ERROR(unique->Add(name));
  }
  RETURN_IF_ERROR(problems_.Note(fields.status()));
  return ReadNodes(function, 7,
                   {.opsets = opsets,
                    .scopes = scopes,
                    .prefix = std::move(prefix),
                    .nesting = 1,
                    .is_main = false,
                    .names_are_complete = true});
}

Status GraphReader::ReadGraph(WireSpan graph, const Surroundings& at) {
  at.scopes.Enter();
  RETURN_IF_ERROR(ReadInputs(graph, at));
  RETURN_IF_ERROR(ReadInitializers(graph, at));
  RETURN_IF_ERROR(ReadNodes(graph, 1, at));
  RETURN_IF_ERROR(CheckOutputs(graph, at));
  at.scopes.Leave();
  return OkStatus();
}

Status GraphReader::ReadInputs(WireSpan graph, const Surroundings& at) {
  std::string name;
  bool has_name = false;
  WireMessage fields(source_, graph);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (field.Is(2, WireType::kBytes)) has_name = field.content.size() != 0;
    if (field.Is(13, WireType::kBytes)) {  // value_info: only whether it can be parsed
      WireMessage value(source_, field.content);
      ValueType type;
      while (value.Next()) {
        if (!value.field().Is(2, WireType::kBytes)) continue;
        RETURN_IF_ERROR(
            problems_.Note(ReadValueType(source_, value.field().content, at.nesting + 2, type)));
      }
      RETURN_IF_ERROR(problems_.Note(value.status()));
    }
    if (!field.Is(11, WireType::kBytes)) continue;
    RETURN_IF_ERROR(ReadValueInfo(field.content, at, name));
    if (at.scopes.InThisGraph(name)) {
      Broken(field.offset, fmt::format("a graph has two inputs '{}'", Shown(name)));
    }
    RETURN_IF_ERROR(at.scopes.Add(name));
  }
  if (!has_name) Broken(graph.begin, "a graph has no name");
  return problems_.Note(fields.status());
}

Status GraphReader::ReadInitializers(WireSpan graph, const Surroundings& at) {
  NameScopes unique(budget_);
  unique.Enter();
  WireMessage fields(source_, graph);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (field.Is(5, WireType::kBytes)) {
      TensorInfo info;
      ASSIGN_OR_RETURN(const bool is_usable, tensors_.Read(field.content, "", info));
      RETURN_IF_ERROR(AddInitializer(info.name, field.offset, unique, at));
      if (is_usable) RETURN_IF_ERROR(ListTensor(info, at.prefix + info.name));
    } else if (field.Is(15, WireType::kBytes)) {
      std::string name;
      RETURN_IF_ERROR(FindSparseName(field.content, name));
      RETURN_IF_ERROR(AddInitializer(name, field.offset, unique, at));
      RETURN_IF_ERROR(ReadSparseTensor(field.content, at.prefix + name));
    }
  }
  return UnlessNoted(fields.status());
}

Status GraphReader::AddInitializer(const std::string& name, uint64_t offset, NameScopes& unique,
                                   const Surroundings& at) {
  constexpr int64_t kLastWithInputs = 3;  // IR versions in which each is an input, too
  if (name.empty()) {
    Broken(offset, "an initializer has no name");
    return OkStatus();
  }
  if (unique.InThisGraph(name)) {
    Broken(offset, fmt::format("a graph has two initializers '{}'", Shown(name)));
  }
  RETURN_IF_ERROR(unique.Add(name));
  if (ir_version_ <= kLastWithInputs && at.names_are_complete && !at.scopes.InThisGraph(name)) {
    Broken(offset, fmt::format("initializer '{}' is no input of its graph, as IR version {} asks",
                               Shown(name), ir_version_));
  }
  return at.scopes.Add(name);
}

Status GraphReader::CheckOutputs(WireSpan graph, const Surroundings& at) {
  std::string name;
  WireMessage fields(source_, graph);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (!field.Is(12, WireType::kBytes)) continue;
    RETURN_IF_ERROR(ReadValueInfo(field.content, at, name));
    if (at.names_are_complete && !at.scopes.InThisGraph(name)) {
      Broken(field.offset,
             fmt::format("graph output '{}' is made by no node of its graph", Shown(name)));
    }
  }
  return UnlessNoted(fields.status());
}

Status GraphReader::ReadValueInfo(WireSpan span, const Surroundings& at, std::string& name) {
  name.clear();
  bool has_type = false;
  ValueType type;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (field.Is(1, WireType::kBytes)) RETURN_IF_ERROR(ReadName(field, name));
    if (field.Is(2, WireType::kBytes)) {
      has_type = true;
      RETURN_IF_ERROR(problems_.Note(ReadValueType(source_, field.content, at.nesting + 2, type)));
    }
  }
  RETURN_IF_ERROR(problems_.Note(fields.status()));
  if (name.empty()) Broken(span.begin, "an input or output of a graph has no name");
  if (!at.is_main) return OkStatus();
  if (!has_type || type.kind == 0 || !type.has_element) {
    Broken(span.begin,
           fmt::format("'{}', an input or output of the model, has no type", Shown(name)));
  } else if (!type.has_shape) {
    problems_.Warn(fmt::format("'{}', an input or output of the model, has no shape", Shown(name)));
  }
  return OkStatus();
}

Status GraphReader::ReadNodes(WireSpan parent, uint32_t number, const Surroundings& at) {
  WireMessage fields(source_, parent);
  while (fields.Next()) {
    if (!fields.field().Is(number, WireType::kBytes)) continue;
    if (!IsTooDeep(at.nesting + 1, fields.field().offset)) {
      RETURN_IF_ERROR(ReadNode(fields.field().content, at));
    }
  }
  return UnlessNoted(fields.status());
}

Status GraphReader::ReadNode(WireSpan span, const Surroundings& at) {
  Node node;
  RETURN_IF_ERROR(ReadNodeHead(span, at, node));
  functions_.CountNode();
  if (node.op_type.empty()) {
    Broken(span.begin, fmt::format("node '{}' has no operator", Shown(node.name)));
  } else {
    RETURN_IF_ERROR(CheckOperator(node, span.begin, at));
  }
  if (node.inputs == 0 && node.outputs == 0) {
    Broken(span.begin, fmt::format("node '{}' ({}) has neither inputs nor outputs",
                                   Shown(node.name), Shown(node.op_type)));
  }
  absl::flat_hash_set<std::string> names;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    if (!fields.field().Is(5, WireType::kBytes)) continue;
    if (!IsTooDeep(at.nesting + 2, fields.field().offset)) {
      RETURN_IF_ERROR(ReadAttribute(fields.field().content, at, node, names));
    }
  }
  RETURN_IF_ERROR(UnlessNoted(fields.status()));
  // Only now: subgraphs may use the names of this node's outputs for their own.
  return AddOutputs(span, at, node);
}

Status GraphReader::ReadNodeHead(WireSpan span, const Surroundings& at, Node& node) {
  std::string name;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (field.type != WireType::kBytes) continue;
    switch (field.number) {
      case 1: {  // input; an empty name leaves out an optional one
        ++node.inputs;
        RETURN_IF_ERROR(ReadName(field, name));
        if (name.empty() || !at.names_are_complete || at.scopes.IsVisible(name)) break;
        Broken(field.offset,
               fmt::format("a node uses '{}', which nothing before it makes", Shown(name)));
        break;
      }
      case 2:  // output
        ++node.outputs;
        if (node.first_output.empty()) RETURN_IF_ERROR(ReadName(field, node.first_output));
        break;
      case 3:
        RETURN_IF_ERROR(ReadName(field, node.name));
        break;
      case 4:
        RETURN_IF_ERROR(ReadName(field, node.op_type));
        break;
      case 7:
        RETURN_IF_ERROR(ReadName(field, node.domain));
        break;
      case 8:
        RETURN_IF_ERROR(ReadName(field, node.overload));
        break;
      default:
        break;
    }
  }
  node.domain = Domain(node.domain);
  return problems_.Note(fields.status());
}

Status GraphReader::AddOutputs(WireSpan span, const Surroundings& at, const Node& node) {
  std::string name;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (!field.Is(2, WireType::kBytes) || field.content.size() == 0) continue;
    RETURN_IF_ERROR(ReadName(field, name));
    if (at.scopes.IsVisible(name)) {
      Broken(field.offset, fmt::format("node '{}' ({}) makes '{}', which is there already",
                                       Shown(node.name), Shown(node.op_type), Shown(name)));
    }
    RETURN_IF_ERROR(at.scopes.Add(name));
  }
  return UnlessNoted(fields.status());
}

Status GraphReader::CheckOperator(const Node& node, uint64_t offset, const Surroundings& at) {
  if (node.op_type.size() > kMaxOperatorNameBytes || node.domain.size() > kMaxOperatorNameBytes) {
    return Problems::Limit("the name of an operator is longer than 1 KiB");
  }
  const auto opset = at.opsets.find(node.domain);
  if (opset == at.opsets.end()) {
    Broken(offset, fmt::format("{} is of the domain '{}', for which there is no opset_import",
                               Shown(node.op_type), Shown(node.domain)));
  }
  const auto* function = functions_.Find(node.domain, node.op_type, node.overload);
  if (function != nullptr) {
    functions_.CountCall(*function);
    return OkStatus();
  }
  if (opset == at.opsets.end()) return OkStatus();
  const auto version = static_cast<uint64_t>(opset->second);
  const auto [place, is_new] = operator_places_.emplace(
      fmt::format("{}:{}:{}{}", version, node.domain.size(), node.domain, node.op_type),
      operators_.size());
  if (is_new) {
    if (operators_.size() == kMaxOperators) {
      return Problems::Limit(fmt::format("it uses more than {} operators", kMaxOperators));
    }
    RETURN_IF_ERROR(budget_.Take(2 * (node.domain.size() + node.op_type.size()) + 256));
    operators_.push_back({.domain = node.domain, .name = node.op_type, .opset = version});
  }
  ++operators_[place->second].count;
  return OkStatus();
}

Status GraphReader::ReadAttributeHead(WireSpan span, Attribute& attribute) {
  uint32_t twice = 0;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (field.Is(1, WireType::kBytes)) RETURN_IF_ERROR(ReadName(field, attribute.name));
    if (field.Is(21, WireType::kBytes)) attribute.is_reference = true;
    if (field.Is(20, WireType::kVarint)) {
      // An unknown number is to protobuf as if there were none.
      attribute.type = field.value <= kLastAttributeType ? static_cast<uint32_t>(field.value) : 0;
    }
    const uint32_t holds = AttributeTypeOf(field);
    if (holds == 0) continue;
    const uint32_t bit = 1u << holds;
    if (IsSingleMessage(holds) && (attribute.value_types & bit) != 0) twice = holds;
    attribute.value_types |= bit;
  }
  RETURN_IF_ERROR(fields.status());
  if (twice == 0) return OkStatus();
  return AtOffset(Error(ErrorCode::kCorruptedModel,
                        fmt::format("attribute '{}' has two values", Shown(attribute.name))),
                  span.begin);
}

Status GraphReader::ReadAttribute(WireSpan span, const Surroundings& at, const Node& node,
                                  absl::flat_hash_set<std::string>& names) {
  Attribute attribute;
  RETURN_IF_ERROR(problems_.Note(ReadAttributeHead(span, attribute)));
  const auto broken = [&](std::string_view what) {
    Broken(span.begin, fmt::format("attribute '{}' of node '{}' ({}) {}", Shown(attribute.name),
                                   Shown(node.name), Shown(node.op_type), what));
  };
  if (attribute.name.empty()) broken("has no name");
  if (names.size() == kMaxAttributes) {
    return Problems::Limit(fmt::format("a node has more than {} attributes", kMaxAttributes));
  }
  if (!names.insert(attribute.name).second) broken("is there twice");
  if (ir_version_ >= 2 && attribute.type == 0) broken("has no type");
  if (std::popcount(attribute.value_types) > 1) {
    broken("has values of several types");
  } else if (attribute.value_types != 0 && attribute.type != 0 &&
             attribute.value_types != 1u << attribute.type) {
    broken("has a value of another type than it says");
  }
  if (!at.is_main && attribute.is_reference && attribute.value_types != 0) {
    broken("refers to another and has a value, too");
  }
  return ReadAttributeValues(span, at, node, attribute);
}

Status GraphReader::ReadAttributeValues(WireSpan span, const Surroundings& at, const Node& node,
                                        const Attribute& attribute) {
  const std::string& label = !node.name.empty()           ? node.name
                             : !node.first_output.empty() ? node.first_output
                                                          : node.op_type;
  uint64_t index = 0;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    const uint32_t holds = AttributeTypeOf(field);
    const bool is_list = holds == 9 || holds == 10 || holds == 12;
    const bool is_tensor = holds == 4 || holds == 9;
    const bool is_graph = holds == 5 || holds == 10;
    const bool is_sparse = holds == 11 || holds == 12;
    if (!is_tensor && !is_graph && !is_sparse) continue;
    const int nesting = at.nesting + kNestingOfSubgraph;
    if (IsTooDeep(nesting, field.offset)) continue;
    std::string name = fmt::format("{}{}/{}", at.prefix, label, attribute.name);
    if (is_list) name += fmt::format("/{}", index++);
    const bool is_constant =
        node.domain.empty() && node.op_type == "Constant" && !is_list && !node.first_output.empty();
    if (is_constant) name = at.prefix + node.first_output;
    if (is_tensor) {
      RETURN_IF_ERROR(ReadTensor(field.content, std::move(name)));
    } else if (is_sparse) {
      RETURN_IF_ERROR(ReadSparseTensor(field.content, std::move(name)));
    } else {
      RETURN_IF_ERROR(ReadGraph(field.content, {.opsets = at.opsets,
                                                .scopes = at.scopes,
                                                .prefix = name + "/",
                                                .nesting = nesting,
                                                .is_main = false,
                                                .names_are_complete = at.names_are_complete}));
    }
  }
  return UnlessNoted(fields.status());
}

Status GraphReader::ReadTensor(WireSpan span, std::string name) {
  TensorInfo info;
  ASSIGN_OR_RETURN(const bool is_usable, tensors_.Read(span, name, info));
  return is_usable ? ListTensor(info, name) : OkStatus();
}

Status GraphReader::FindSparseName(WireSpan span, std::string& name) {
  WireMessage fields(source_, span);
  while (fields.Next()) {
    if (!fields.field().Is(1, WireType::kBytes)) continue;
    WireMessage values(source_, fields.field().content);
    while (values.Next()) {
      if (values.field().Is(8, WireType::kBytes)) RETURN_IF_ERROR(ReadName(values.field(), name));
    }
  }
  return OkStatus();  // what is wrong here, ReadSparseTensor() meets
}

Status GraphReader::ReadSparseTensor(WireSpan span, std::string name) {
  TensorInfo values;
  TensorInfo indices;
  int values_seen = 0;
  int indices_seen = 0;
  std::vector<uint64_t> dims;
  bool is_usable = true;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    const bool is_values = field.Is(1, WireType::kBytes) && values_seen++ == 0;
    const bool is_indices = field.Is(2, WireType::kBytes) && indices_seen++ == 0;
    if (is_values || is_indices) {
      TensorInfo& info = is_values ? values : indices;
      ASSIGN_OR_RETURN(const bool one, tensors_.Read(field.content, name, info));
      is_usable = is_usable && one;
    }
    if (field.Is(3, WireType::kVarint)) dims.push_back(field.value);
    if (field.Is(3, WireType::kBytes)) {
      RETURN_IF_ERROR(ReadPackedVarints(source_, field.content, kMaxTensorRank, dims));
    }
    if (dims.size() > kMaxTensorRank) return Problems::Limit("a sparse tensor's rank is above 64");
  }
  RETURN_IF_ERROR(problems_.Note(fields.status()));
  if (!is_usable || !fields.status().ok()) return OkStatus();
  const std::string_view wrong = SparseFault(values_seen, values, indices_seen, indices, dims);
  if (!wrong.empty()) {
    Broken(span.begin, fmt::format("sparse tensor '{}': {}", Shown(name), wrong));
    return OkStatus();
  }
  RETURN_IF_ERROR(ListTensor(values, name + "/values"));
  return indices_seen == 0 ? OkStatus() : ListTensor(indices, name + "/indices");
}

std::string_view GraphReader::SparseFault(int values_seen, const TensorInfo& values,
                                          int indices_seen, const TensorInfo& indices,
                                          const std::vector<uint64_t>& dims) {
  if (values_seen == 0) return "it has no values";
  if (values_seen > 1 || indices_seen > 1) return "its values or indices are there twice";
  if (values.shape.size() != 1) return "its values are no list";
  if (dims.empty()) return "it has no dims";
  for (const uint64_t dim : dims) {
    if (dim == 0 || dim > INT64_MAX) return "its dims are not all positive";
  }
  const uint64_t count = values.shape[0];
  if (indices_seen == 0) return count == 0 ? "" : "it has no indices";
  if (indices.data_type != kInt64) return "its indices are not INT64";
  const size_t rank = indices.shape.size();
  if (rank != 1 && rank != 2) return "its indices are neither a list nor a table";
  if (indices.shape[0] != count) return "it has another number of indices than of values";
  if (rank == 2 && indices.shape[1] != dims.size()) return "its indices have another rank";
  return "";
}

Status GraphReader::ListTensor(const TensorInfo& info, std::string_view name) {
  RETURN_IF_ERROR(budget_.Take(name.size() + 8 * info.shape.size() + kTensorOverhead));
  TensorView tensor;
  tensor.name = name;
  tensor.dtype = kDataTypes[static_cast<size_t>(info.data_type)].dtype;
  tensor.shape = info.shape;
  tensor.storage = info.storage;
  tensor.file = info.file;
  tensor.offset = info.offset;
  tensor.bytes = info.bytes;
  return contents_.tensors.Add(tensor);
}

Status GraphReader::UnlessNoted(const Status& status) {
  return CodeOf(status) == ErrorCode::kCorruptedModel ? OkStatus() : status;
}

Status GraphReader::ReadName(const WireField& field, std::string& name) {
  if (field.content.size() > kMaxNameBytes) {
    return Problems::Limit(fmt::format("a name at offset {} is longer than 64 KiB", field.offset));
  }
  return ReadContent(source_, field.content, name);
}

void GraphReader::Broken(uint64_t offset, std::string_view what) {
  problems_.Add(AtOffset(Error(ErrorCode::kCorruptedModel, what), offset));
}

bool GraphReader::IsTooDeep(int nesting, uint64_t offset) {
  if (nesting <= kMaxNesting) return false;
  Broken(offset, fmt::format("its messages are nested deeper than protobuf's {}", kMaxNesting));
  return true;
}

void GraphReader::ListOperators() {
  std::sort(operators_.begin(), operators_.end());
  contents_.operators = std::move(operators_);
}

}  // namespace warmset::onnx
