#include "discover/known_models.h"

#include <cstring>

namespace warmset {

uint64_t KnownModels::DigestOfPath(std::string_view path) {
  const auto digest = Xxh3(AsBytes(path));
  uint64_t half = 0;
  std::memcpy(&half, digest.data(), sizeof half);
  return half;
}

void KnownModels::Put(const ModelSummary& summary) {
  absl::MutexLock lock(&mutex_);
  models_[summary.id] = {
      summary.revision, summary.name, summary.root, summary.folder, DigestOfPath(summary.path()),
      summary.verdict};
}

void KnownModels::Forget(const ModelId& id) {
  absl::MutexLock lock(&mutex_);
  models_.erase(id);
}

std::optional<KnownModels::Known> KnownModels::Find(const ModelId& id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = models_.find(id);
  if (found == models_.end()) return std::nullopt;
  return found->second;
}

size_t KnownModels::size() const {
  absl::MutexLock lock(&mutex_);
  return models_.size();
}

void KnownModels::ForEach(const std::function<void(const ModelId&, const Known&)>& visit) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, known] : models_) visit(id, known);
}

}  // namespace warmset
