// The models as they are now.
#pragma once

#include <map>

#include "base/digest.h"
#include "model/model_snapshot.h"
#include "place/desire.h"

namespace warmset::place {

// A value; not thread-safe.
class ModelTable {
 public:
  struct Known {
    SharedSnapshot snapshot;
    Time last_used{};  // or brought somewhere: from when on the time to keep counts
  };

  // Adds the model, or replaces its snapshot.
  void Put(SharedSnapshot snapshot, Time now);
  void Remove(const ModelId& model);

  Known* Find(const ModelId& model);
  const Known* Find(const ModelId& model) const;
  // Some model has the component.
  bool HasUser(const ComponentId& component) const { return users_.contains(component); }
  const std::map<ModelId, Known>& all() const { return models_; }

 private:
  void Count(const ModelSnapshot& snapshot, int by);

  std::map<ModelId, Known> models_;
  std::map<ComponentId, int> users_;  // how many parts of models it is
};

}  // namespace warmset::place
