// Model-local functions and who calls whom: a chain of calls may neither come
// back to where it began nor unfold without bounds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"

namespace warmset::onnx {

// As onnx.checker bounds them.
inline constexpr size_t kMaxFunctions = 10'000;
inline constexpr size_t kMaxCallDepth = 100;
// Nodes of a graph in which all calls are replaced by what they stand for.
inline constexpr uint64_t kMaxUnfoldedNodes = 100'000'000;

// Functions by what a node calls them by. Not thread-safe.
class FunctionCalls {
 public:
  using Id = uint32_t;

  FunctionCalls() = default;
  FunctionCalls(const FunctionCalls&) = delete;
  FunctionCalls& operator=(const FunctionCalls&) = delete;

  // domain: "" stands for ai.onnx. kCorruptedModel when there is such a function.
  StatusOr<Id> AddFunction(std::string_view domain, std::string_view name,
                           std::string_view overload);
  // Nothing when no function is called that.
  const Id* Find(std::string_view domain, std::string_view name, std::string_view overload) const;
  bool empty() const { return functions_.empty(); }

  // What follows counts for that function's body, or for the model's graphs.
  void EnterBody(Id function) { body_ = &functions_[function]; }
  void EnterGraph() { body_ = &graph_; }
  void CountNode() { ++body_->nodes; }
  void CountCall(Id callee) { ++body_->callees[callee]; }

  // kCorruptedModel for a function that calls itself, also over others, or for
  // more than kMaxCallDepth calls in each other; kUnsupportedFormat when the
  // calls unfold to more than kMaxUnfoldedNodes.
  Status Check() const;

 private:
  struct Body {
    std::string shown;
    uint64_t nodes = 0;
    std::unordered_map<Id, uint64_t> callees;  // and how often each is called
  };

  std::unordered_map<std::string, Id> ids_;
  std::vector<Body> functions_;
  Body graph_;
  Body* body_ = &graph_;
};

}  // namespace warmset::onnx
