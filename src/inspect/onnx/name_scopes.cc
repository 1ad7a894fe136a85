#include "inspect/onnx/name_scopes.h"

#include <algorithm>
#include <cstring>

namespace warmset::onnx {
namespace {

constexpr size_t kBlockBytes = 16 * 1024;
// Of a name beside its text: its places in the table and in the list of changes.
constexpr uint64_t kNameOverhead = 64;

}  // namespace

void NameScopes::Leave() {
  for (const size_t begin = marks_.back(); undo_.size() > begin; undo_.pop_back()) {
    const auto& [name, depth] = undo_.back();
    if (depth == 0) {
      depths_.erase(name);
    } else {
      depths_[name] = depth;
    }
  }
  marks_.pop_back();
}

bool NameScopes::InThisGraph(std::string_view name) const {
  const auto found = depths_.find(Key(name));
  return found != depths_.end() && found->second == marks_.size();
}

bool NameScopes::IsVisible(std::string_view name) const { return depths_.contains(Key(name)); }

Status NameScopes::Add(std::string_view name) {
  const auto here = static_cast<Depth>(marks_.size());
  const auto found = depths_.find(Key(name));
  if (found != depths_.end()) {
    if (found->second == here) return OkStatus();
    RETURN_IF_ERROR(budget_.Take(kNameOverhead));
    undo_.emplace_back(found->first, found->second);
    found->second = here;
    return OkStatus();
  }
  RETURN_IF_ERROR(budget_.Take(name.size() + kNameOverhead));
  const absl::string_view kept = Keep(name);
  undo_.emplace_back(kept, 0);
  depths_.emplace(kept, here);
  return OkStatus();
}

absl::string_view NameScopes::Keep(std::string_view name) {
  if (blocks_.empty() || name.size() > block_left_) {
    const size_t bytes = std::max(kBlockBytes, name.size());
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    block_left_ = bytes;
  }
  // A block is filled from its end.
  block_left_ -= name.size();
  char* const text = blocks_.back().get() + block_left_;
  std::memcpy(text, name.data(), name.size());
  return {text, name.size()};
}

}  // namespace warmset::onnx
