// Writes ONNX models field by field, also broken ones, for tests and fuzzers.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

namespace warmset::onnx_test {

inline std::string Varint(uint64_t value) {
  std::string out;
  for (; value > 0x7f; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
inline std::string Tag(uint64_t field, uint64_t wire_type) {
  return Varint(field << 3 | wire_type);
}
inline std::string Number(uint64_t field, uint64_t value) { return Tag(field, 0) + Varint(value); }
inline std::string Bytes(uint64_t field, std::string_view content) {
  return Tag(field, 2) + Varint(content.size()) + std::string(content);
}
inline std::string Float(uint64_t field, float value) {
  std::string raw(sizeof value, '\0');
  std::memcpy(raw.data(), &value, sizeof value);
  return Tag(field, 5) + raw;
}

// Parts of messages: put together with +, wrapped by Bytes() with the field of
// what holds them. Field numbers are those of onnx.proto.

inline std::string Opset(std::string_view domain, uint64_t version) {
  return Bytes(8, (domain.empty() ? "" : Bytes(1, domain)) + Number(2, version));
}
inline std::string Entry(std::string_view key, std::string_view value) {
  return Bytes(1, key) + Bytes(2, value);
}

inline std::string Dims(std::initializer_list<uint64_t> dims) {
  std::string out;
  for (const uint64_t dim : dims) out += Number(1, dim);
  return out;
}
inline std::string TensorHead(std::string_view name, uint64_t data_type,
                              std::initializer_list<uint64_t> dims) {
  return Dims(dims) + Number(2, data_type) + Bytes(8, name);
}
inline constexpr uint64_t kFloat = 1;
inline std::string RawTensor(std::string_view name, uint64_t data_type,
                             std::initializer_list<uint64_t> dims, size_t bytes) {
  return TensorHead(name, data_type, dims) + Bytes(9, std::string(bytes, 'r'));
}
inline std::string ExternalTensor(std::string_view name, std::initializer_list<uint64_t> dims,
                                  std::string_view entries) {
  return TensorHead(name, kFloat, dims) + std::string(entries) + Number(14, 1);
}
inline std::string ExternalEntry(std::string_view key, std::string_view value) {
  return Bytes(13, Entry(key, value));
}

inline std::string Attribute(std::string_view name, uint64_t type, std::string_view value) {
  return Bytes(5, Bytes(1, name) + std::string(value) + Number(20, type));
}
inline std::string TensorAttribute(std::string_view name, std::string_view tensor) {
  return Attribute(name, 4, Bytes(5, tensor));
}
inline std::string GraphAttribute(std::string_view name, std::string_view graph) {
  return Attribute(name, 5, Bytes(6, graph));
}

// "a,b" for several inputs or outputs.
inline std::string Names(uint64_t field, std::string_view names) {
  std::string out;
  while (!names.empty()) {
    const size_t comma = names.find(',');
    out += Bytes(field, names.substr(0, comma));
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
  return out;
}
inline std::string Node(std::string_view op_type, std::string_view inputs, std::string_view outputs,
                        std::string_view rest = "") {
  return Bytes(1, Names(1, inputs) + Names(2, outputs) + Bytes(4, op_type) + std::string(rest));
}
inline std::string NodeName(std::string_view name) { return Bytes(3, name); }
inline std::string NodeDomain(std::string_view domain) { return Bytes(7, domain); }

// FLOAT [1]
inline std::string ValueInfo(std::string_view name) {
  return Bytes(1, name) + Bytes(2, Bytes(1, Number(1, kFloat) + Bytes(2, Bytes(1, Number(1, 1)))));
}
inline std::string Input(std::string_view name) { return Bytes(11, ValueInfo(name)); }
inline std::string Output(std::string_view name) { return Bytes(12, ValueInfo(name)); }
inline std::string Initializer(std::string_view tensor) { return Bytes(5, tensor); }
inline std::string GraphName(std::string_view name = "g") { return Bytes(2, name); }

// A function in the domain "local": its node fields are made with FunctionNode().
inline std::string FunctionNode(std::string_view op_type, std::string_view inputs,
                                std::string_view outputs, std::string_view rest = "") {
  return Bytes(7, Names(1, inputs) + Names(2, outputs) + Bytes(4, op_type) + std::string(rest));
}
inline std::string FunctionOpset(std::string_view domain, uint64_t version) {
  return Bytes(9, (domain.empty() ? "" : Bytes(1, domain)) + Number(2, version));
}
inline std::string Function(std::string_view name, std::string_view rest) {
  return Bytes(25, Bytes(1, name) + Bytes(10, "local") + FunctionOpset("", 17) +
                       FunctionOpset("local", 1) + Bytes(4, "x") + Bytes(5, "y") +
                       std::string(rest));
}

inline std::string ModelOf(uint64_t ir_version, std::string_view graph, std::string_view rest) {
  return Number(1, ir_version) + Bytes(7, graph) + std::string(rest);
}
// IR version 8, ai.onnx 17.
inline std::string Model(std::string_view graph, std::string_view rest = "") {
  return ModelOf(8, graph, Opset("", 17) + std::string(rest));
}

// y = x + w, with whatever else belongs into the graph.
inline std::string AddGraph(std::string_view weight, std::string_view rest = "") {
  return Node("Add", "x,w", "y") + GraphName() + Initializer(weight) + Input("x") + Output("y") +
         std::string(rest);
}
inline std::string AddModel(std::string_view weight, std::string_view rest = "") {
  return Model(AddGraph(weight, rest));
}
// y = Identity(x), and the given parts of a graph before it.
inline std::string IdentityModel(std::string_view parts, std::string_view model_rest = "") {
  return Model(
      std::string(parts) + Node("Identity", "x", "y") + GraphName() + Input("x") + Output("y"),
      model_rest);
}

// An If with both branches, each a graph of its own.
inline std::string If(std::string_view name, std::string_view output, std::string_view then_graph,
                      std::string_view else_graph) {
  return Node("If", "x", output,
              NodeName(name) + GraphAttribute("then_branch", then_graph) +
                  GraphAttribute("else_branch", else_graph));
}

// A subgraph without inputs whose one output `output` is a Constant.
inline std::string ConstantGraph(std::string_view output, size_t bytes = 8) {
  return Node("Constant", "", output,
              TensorAttribute("value", RawTensor("", kFloat, {bytes / 4}, bytes))) +
         GraphName() + Bytes(12, Bytes(1, output));
}

}  // namespace warmset::onnx_test
