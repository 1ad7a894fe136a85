#include "place/model_table.h"

#include <utility>

namespace warmset::place {

void ModelTable::Put(SharedSnapshot snapshot, Time now) {
  Count(*snapshot, 1);
  const auto [found, is_new] = models_.try_emplace(snapshot->model);
  if (is_new) found->second.last_used = now;
  if (!is_new) Count(*found->second.snapshot, -1);
  found->second.snapshot = std::move(snapshot);
}

void ModelTable::Remove(const ModelId& model) {
  const auto found = models_.find(model);
  if (found == models_.end()) return;
  Count(*found->second.snapshot, -1);
  models_.erase(found);
}

ModelTable::Known* ModelTable::Find(const ModelId& model) {
  const auto found = models_.find(model);
  return found == models_.end() ? nullptr : &found->second;
}

const ModelTable::Known* ModelTable::Find(const ModelId& model) const {
  return const_cast<ModelTable*>(this)->Find(model);
}

void ModelTable::Count(const ModelSnapshot& snapshot, int by) {
  for (const auto* parts : {&snapshot.components, &snapshot.files}) {
    for (const ModelPart& part : *parts) {
      if ((users_[part.id] += by) == 0) users_.erase(part.id);
    }
  }
}

}  // namespace warmset::place
