// Writes to the catalog how models are used.
#pragma once

#include <chrono>
#include <functional>
#include <unordered_map>

#include "catalog/catalog.h"
#include "daemon/component_cache.h"
#include "daemon/model_use.h"
#include "daemon/notices.h"
#include "daemon/preloader.h"
#include "os/event_loop.h"

namespace warmset {

// A use is written at once, and of one model at most once a second: so what a crash can
// lose of a model's last use is a second. What eviction and preloading learn is written every five
// seconds. While the catalog can't be written a notice says so, and what was to be written is kept.
// Loop thread only; all that it is given outlives it.
class UseRecorder {
 public:
  // on_recovered: the catalog can be written again; what others have tried is not there.
  UseRecorder(os::EventLoop& loop, Catalog& catalog, ModelUse& uses, ComponentCache& cache,
              Preloader& preloader, Notices& notices, std::function<void()> on_recovered);

  // Begins to write.
  void Start();
  // Writes what is left.
  void Flush();

 private:
  void RecordSoon(const ModelId& model);
  void RecordAfter(std::chrono::nanoseconds delay);
  void RecordUses();
  void RecordHistory();
  // Looks at the catalog's health, and writes the history.
  void Tick();
  void LookAtCatalog();

  os::EventLoop& loop_;
  Catalog& catalog_;
  ModelUse& uses_;
  ComponentCache& cache_;
  Preloader& preloader_;
  Notices& notices_;
  const std::function<void()> on_recovered_;
  std::unordered_map<ModelId, NewUses> unwritten_;
  std::unordered_map<ModelId, std::chrono::steady_clock::time_point> recorded_;  // last
  std::chrono::steady_clock::time_point due_{};  // of the next record
  os::EventLoop::TimerId timer_ = 0;             // for it; 0: none
  bool catalog_failed_ = false;
};

}  // namespace warmset
