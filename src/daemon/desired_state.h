// What a restarted daemon brings back.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "catalog/catalog.h"
#include "daemon/component_cache.h"
#include "daemon/device_service.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"

namespace warmset {

// Keeps the catalog's desired rows equal to what is in RAM and on devices, and
// after a start works through the rows of the daemon before. What could not be
// brought back yet stays desired. Loop thread only.
class DesiredState {
 public:
  DesiredState(Catalog& catalog, ModelRegistry& registry, ComponentCache& cache, ModelUse& uses)
      : catalog_(catalog), registry_(registry), cache_(cache), uses_(uses) {}

  // An entry was published, evicted or dropped.
  void CacheChanged(const ComponentId& component);
  void WantedChanged(const std::vector<DeviceService::Wanted>& wanted);
  // The model is gone or has other components now. A pinned one that is gone comes
  // back into RAM with its files: its drive may be away.
  void ModelChanged(const ModelId& model);

  // What of the rows comes back.
  struct Earlier {
    std::vector<DeviceService::Wanted> placements;
    ByteCount held;         // of all rows, components that models share once
    ByteCount coming_back;  // into RAM or onto devices
  };
  // Reads the rows. After an unclean end, for which what was read may be the reason, only
  // the first half of the bytes comes back, most recently used first; after a second one
  // nothing. The rest is no longer desired.
  StatusOr<Earlier> Read(EarlierEnd end);
  // Caches what was in RAM, most recently used first, one model after another,
  // as far as it fits. Call again when there is more room or models came.
  void BringBack();
  // Writes every row anew: what was written meanwhile may be lost.
  void WriteAll();

 private:
  // A component that was in RAM or on devices, in the order of the rows.
  struct DesiredComponent {
    ModelId model;
    ComponentId id;
    std::string name;
    ByteCount bytes{};  // 0 where another one of the same content counts
    bool cached = false;
    std::vector<std::pair<DeviceId, MemoryPool>> placements{};
  };
  std::vector<DesiredComponent> ComponentsOf(const std::vector<DesiredModel>& rows) const;
  void Write(const ModelId& model);
  void BringBackNext();

  Catalog& catalog_;
  ModelRegistry& registry_;
  ComponentCache& cache_;
  ModelUse& uses_;
  std::map<ComponentId, std::vector<DeviceService::Wanted>> wanted_;
  std::map<ModelId, std::set<std::string>> pending_;  // components not brought back yet
  std::deque<ModelId> order_;                         // of pending_, this round
  std::map<ModelId, std::set<std::string>> written_;  // as cached, to the catalog
  bool running_ = false;
};

}  // namespace warmset
