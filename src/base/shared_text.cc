#include "base/shared_text.h"

namespace warmset {

SharedText TextPool::Get(std::string_view text) {
  if (text.empty()) return {};
  absl::MutexLock lock(&mutex_);
  if (const auto known = texts_.find(text); known != texts_.end()) return known->second;
  const SharedText added(text);
  return texts_.emplace(added.str(), added).first->second;
}

}  // namespace warmset
