#include "inspect/onnx/function_calls.h"

#include <algorithm>
#include <utility>

#include "base/byte_reader.h"
#include "fmt/format.h"
#include "inspect/onnx/read_state.h"

namespace warmset::onnx {
namespace {

std::string KeyOf(std::string_view domain, std::string_view name, std::string_view overload) {
  // Lengths keep "a" + "bc" apart from "ab" + "c".
  return fmt::format("{}:{}:{}{}{}", domain.size(), name.size(), domain, name, overload);
}

}  // namespace

StatusOr<FunctionCalls::Id> FunctionCalls::AddFunction(std::string_view domain,
                                                       std::string_view name,
                                                       std::string_view overload) {
  const auto id = static_cast<Id>(functions_.size());
  Body body;
  body.shown = Shown(fmt::format("{}.{}{}{}", domain, name, overload.empty() ? "" : ":", overload));
  if (!ids_.emplace(KeyOf(domain, name, overload), id).second) {
    return Error(ErrorCode::kCorruptedModel, fmt::format("it has two functions '{}'", body.shown));
  }
  functions_.push_back(std::move(body));
  return id;
}

const FunctionCalls::Id* FunctionCalls::Find(std::string_view domain, std::string_view name,
                                             std::string_view overload) const {
  if (ids_.empty()) return nullptr;
  const auto found = ids_.find(KeyOf(domain, name, overload));
  return found == ids_.end() ? nullptr : &found->second;
}

// Depth first, with a stack of its own: a chain of calls may be as long as there
// are functions.
Status FunctionCalls::Check() const {
  enum class State : uint8_t { kNew, kOnPath, kDone };
  struct Frame {
    const Body* body;
    std::unordered_map<Id, uint64_t>::const_iterator next;
    Id id;
    uint64_t unfolded;
  };
  std::vector<State> states(functions_.size(), State::kNew);
  std::vector<uint64_t> unfolded(functions_.size(), 0);
  std::vector<uint32_t> depths(functions_.size(), 0);  // of the longest chain that begins there

  const auto add = [](uint64_t& sum, uint64_t times, uint64_t nodes) {
    const auto more = CheckedMultiply(times, nodes);
    const auto total = more ? CheckedAdd(sum, *more) : std::nullopt;
    sum = total.value_or(UINT64_MAX);
  };
  constexpr Id kGraph = UINT32_MAX;
  std::vector<Frame> path = {{&graph_, graph_.callees.begin(), kGraph, graph_.nodes}};
  // From the graph first, then from functions that nobody has called.
  Id root = 0;
  uint64_t total = 0;
  for (;;) {
    while (!path.empty()) {
      Frame& frame = path.back();
      if (frame.next != frame.body->callees.end()) {
        const auto [callee, times] = *frame.next;
        if (states[callee] == State::kOnPath) {
          return Error(ErrorCode::kCorruptedModel,
                       fmt::format("function '{}' calls itself, directly or over others",
                                   functions_[callee].shown));
        }
        if (states[callee] == State::kNew) {
          states[callee] = State::kOnPath;
          const Body& body = functions_[callee];
          path.push_back({&body, body.callees.begin(), callee, body.nodes});
          continue;
        }
        add(frame.unfolded, times, unfolded[callee]);
        if (frame.id != kGraph) {
          depths[frame.id] = std::max(depths[frame.id], depths[callee] + 1);
        }
        ++frame.next;
        continue;
      }
      if (frame.id == kGraph) {
        total = frame.unfolded;
      } else {
        states[frame.id] = State::kDone;
        unfolded[frame.id] = frame.unfolded;
        if (depths[frame.id] >= kMaxCallDepth) {
          return Error(ErrorCode::kCorruptedModel,
                       fmt::format("function '{}' begins a chain of more than {} calls",
                                   frame.body->shown, kMaxCallDepth));
        }
      }
      path.pop_back();
    }
    while (root < functions_.size() && states[root] != State::kNew) ++root;
    if (root == functions_.size()) break;
    states[root] = State::kOnPath;
    const Body& body = functions_[root];
    path.push_back({&body, body.callees.begin(), root, body.nodes});
  }
  if (total <= kMaxUnfoldedNodes) return OkStatus();
  return Error(
      ErrorCode::kUnsupportedFormat,
      fmt::format("the calls of its functions unfold to more than {} nodes", kMaxUnfoldedNodes));
}

}  // namespace warmset::onnx
