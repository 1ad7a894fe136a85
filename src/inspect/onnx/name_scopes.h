// Which names of values a node can use: ONNX's static single assignment form and
// its scopes (onnx/docs/IR.md, "Names Within a Graph").
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "inspect/onnx/read_state.h"

namespace warmset::onnx {

// The names of a graph and of those around it. A subgraph sees the names of the
// graphs around it and may hide them. Not thread-safe; the budget must outlive it.
class NameScopes {
 public:
  explicit NameScopes(Budget& budget) : budget_(budget) {}

  void Enter() { marks_.push_back(undo_.size()); }
  // Forgets the names added since the matching Enter().
  void Leave();

  bool InThisGraph(std::string_view name) const;
  // Here or in a graph around it.
  bool IsVisible(std::string_view name) const;
  // A name that this graph has already stays. Fails as Budget::Take() does.
  Status Add(std::string_view name);

 private:
  using Depth = uint32_t;
  static absl::string_view Key(std::string_view name) { return {name.data(), name.size()}; }
  absl::string_view Keep(std::string_view name);

  Budget& budget_;
  absl::flat_hash_map<absl::string_view, Depth> depths_;  // innermost graph that has it; 1, 2, ...
  // What a name's depth was before; 0: it was not there.
  std::vector<std::pair<absl::string_view, Depth>> undo_;
  std::vector<size_t> marks_;                    // where in undo_ each graph begins
  std::vector<std::unique_ptr<char[]>> blocks_;  // the names' text
  size_t block_left_ = 0;
};

}  // namespace warmset::onnx
