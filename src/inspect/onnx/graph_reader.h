// Reads graphs and functions: nodes, attributes, subgraphs, and the tensors in them.
// Rules: onnx/docs/IR.md, and what onnx.checker checks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "inspect/format_reader.h"
#include "inspect/onnx/function_calls.h"
#include "inspect/onnx/name_scopes.h"
#include "inspect/onnx/read_state.h"
#include "inspect/onnx/tensor_reader.h"
#include "inspect/onnx/wire.h"

namespace warmset::onnx {

// Versions of operator sets, by domain ("" stands for ai.onnx).
using OpsetImports = std::map<std::string, int64_t, std::less<>>;

// "" for "ai.onnx", which is the same domain.
inline std::string_view Domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

// Lists what it meets in FileContents: a tensor under the name that its graph
// gives it (an initializer's own, the output of a Constant), else
// "<node>/<attribute>"; what lies in a subgraph has "<node>/<attribute>/" before
// its name, what lies in a function "<domain>.<function>/".
//
// Every part of a message is looked at in the order that the rules need, not in
// that of the file: messages are walked several times, their contents stepped over.
//
// Not thread-safe; what it is made of must outlive it. A mistake of the file is
// noted in `problems`; what comes back as an error ends the reading.
class GraphReader {
 public:
  GraphReader(WireSource& source, TensorReader& tensors, FunctionCalls& functions,
              Problems& problems, Budget& budget, FileContents& contents)
      : source_(source),
        tensors_(tensors),
        functions_(functions),
        problems_(problems),
        budget_(budget),
        contents_(contents) {}

  void set_ir_version(int64_t version) { ir_version_ = version; }

  Status ReadMainGraph(WireSpan graph, const OpsetImports& opsets);
  // A graph of training, which sees the names of others: only what is in itself is checked.
  Status ReadTrainingGraph(WireSpan graph, const OpsetImports& opsets, std::string prefix);
  // Its name, domain and overload are known already, as is that it may be called.
  Status ReadFunction(WireSpan function, const OpsetImports& opsets, std::string prefix);

  // Gives FileContents the operators that were met. Call once, at the end.
  void ListOperators();

 private:
  // Where a graph stands.
  struct Surroundings {
    const OpsetImports& opsets;
    NameScopes& scopes;
    std::string prefix;  // of names of tensors
    int nesting;         // of the graph's or function's own message
    bool is_main;
    bool names_are_complete;  // all names it may use are in `scopes`
  };
  struct Node {
    std::string name;
    std::string op_type;
    std::string domain;
    std::string overload;
    std::string first_output;
    uint64_t inputs = 0;
    uint64_t outputs = 0;
  };
  struct Attribute {
    std::string name;
    uint64_t type = 0;  // 0: none that is known
    bool is_reference = false;
    uint32_t value_types = 0;  // bits by number of AttributeType
  };

  Status ReadGraph(WireSpan graph, const Surroundings& at);
  Status ReadInputs(WireSpan graph, const Surroundings& at);
  Status ReadInitializers(WireSpan graph, const Surroundings& at);
  Status CheckOutputs(WireSpan graph, const Surroundings& at);
  Status ReadValueInfo(WireSpan span, const Surroundings& at, std::string& name);
  Status ReadNodes(WireSpan parent, uint32_t field, const Surroundings& at);
  Status ReadNode(WireSpan span, const Surroundings& at);
  Status ReadNodeHead(WireSpan span, const Surroundings& at, Node& node);
  Status AddOutputs(WireSpan span, const Surroundings& at, const Node& node);
  Status CheckOperator(const Node& node, uint64_t offset, const Surroundings& at);
  Status ReadAttributeHead(WireSpan span, Attribute& attribute);
  Status ReadAttribute(WireSpan span, const Surroundings& at, const Node& node,
                       absl::flat_hash_set<std::string>& names);
  Status ReadAttributeValues(WireSpan span, const Surroundings& at, const Node& node,
                             const Attribute& attribute);
  Status ReadTensor(WireSpan span, std::string name);
  Status ReadSparseTensor(WireSpan span, std::string name);
  // The name of a sparse initializer is that of its values.
  Status FindSparseName(WireSpan span, std::string& name);
  Status AddInitializer(const std::string& name, uint64_t offset, NameScopes& unique,
                        const Surroundings& at);
  // What is wrong with a sparse tensor's parts, each of which is right; else "".
  static std::string_view SparseFault(int values_seen, const TensorInfo& values, int indices_seen,
                                      const TensorInfo& indices, const std::vector<uint64_t>& dims);
  Status ListTensor(const TensorInfo& info, std::string_view name);
  Status ReadName(const WireField& field, std::string& name);
  // Of a message that was walked before: then its mistakes are noted already.
  static Status UnlessNoted(const Status& status);
  // Notes it, if a message is nested so deep that no loader reads it.
  bool IsTooDeep(int nesting, uint64_t offset);
  // Notes a broken rule; reading goes on.
  void Broken(uint64_t offset, std::string_view what);

  WireSource& source_;
  TensorReader& tensors_;
  FunctionCalls& functions_;
  Problems& problems_;
  Budget& budget_;
  FileContents& contents_;
  int64_t ir_version_ = 0;
  std::unordered_map<std::string, size_t> operator_places_;  // by domain, name and opset
  std::vector<OperatorUse> operators_;
};

}  // namespace warmset::onnx
