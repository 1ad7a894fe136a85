#include "discover/known_models.h"

#include <algorithm>
#include <cstring>

namespace warmset {

uint64_t KnownModels::DigestOfPath(std::string_view path) {
  const auto digest = Xxh3(AsBytes(path));
  uint64_t half = 0;
  std::memcpy(&half, digest.data(), sizeof half);
  return half >> 8;
}

KnownModels::Kept::Kept(const ModelSummary& summary)
    : revision(summary.revision),
      name(std::make_unique<char[]>(summary.name.size() + 1)),
      root(summary.root),
      folder(summary.folder),
      path_digest(DigestOfPath(summary.path()) & ((uint64_t{1} << 56) - 1)),
      verdict(static_cast<uint8_t>(summary.verdict)) {
  std::copy(summary.name.begin(), summary.name.end(), name.get());
}

KnownModels::Known KnownModels::Kept::Give() const {
  return {revision, name.get(), root, folder, path_digest, static_cast<Verdict>(verdict)};
}

void KnownModels::Put(const ModelSummary& summary) {
  absl::MutexLock lock(&mutex_);
  models_.insert_or_assign(summary.id, Kept(summary));
}

void KnownModels::Forget(const ModelId& id) {
  absl::MutexLock lock(&mutex_);
  models_.erase(id);
}

std::optional<KnownModels::Known> KnownModels::Find(const ModelId& id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = models_.find(id);
  if (found == models_.end()) return std::nullopt;
  return found->second.Give();
}

size_t KnownModels::size() const {
  absl::MutexLock lock(&mutex_);
  return models_.size();
}

void KnownModels::ForEach(const std::function<void(const ModelId&, const Known&)>& visit) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, kept] : models_) visit(id, kept.Give());
}

}  // namespace warmset
