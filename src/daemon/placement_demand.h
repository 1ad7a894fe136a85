// Why components are on one device: the models that were loaded, and the loads on their way.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/digest.h"

namespace warmset {

// One request to load; never the same twice.
using LoadId = uint64_t;

// A component may be in several models, and several loads may bring it at the same time.
// It leaves the device when the last of these reasons has ended. Loop thread only.
class PlacementDemand {
 public:
  // The load needs the component, from before it is placed until one of the two below.
  void Begin(LoadId load, const ComponentId& component);
  // The load has ended well: the model keeps its components there.
  void Commit(LoadId load, const ModelId& model);
  // The load failed: returns its components that are there for no other reason.
  std::vector<ComponentId> Abandon(LoadId load);

  // What an earlier daemon had loaded.
  void Restore(const ModelId& model, const ComponentId& component);
  // The model needs the component there no longer. True when no reason is left.
  bool Remove(const ModelId& model, const ComponentId& component);
  // All reasons end: the component can't be there any more.
  void Clear(const ComponentId& component);

  // What the model keeps there.
  std::vector<ComponentId> ComponentsOf(const ModelId& model) const;
  // The models that keep the component there, in no order.
  const std::set<ModelId>& ModelsOf(const ComponentId& component) const;
  bool IsNeeded(const ComponentId& component) const { return reasons_.contains(component); }

 private:
  struct Reasons {
    std::set<ModelId> models;
    std::set<LoadId> loads;
    bool none() const { return models.empty() && loads.empty(); }
  };
  // Ends a reason; true when none is left.
  template <typename Key>
  bool End(const ComponentId& component, std::set<Key> Reasons::* kind, const Key& key);

  std::map<ComponentId, Reasons> reasons_;  // none without a reason
  std::map<LoadId, std::set<ComponentId>> loads_;
};

}  // namespace warmset
