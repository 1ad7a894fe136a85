// `warmset path`: a model's files by path, out of RAM.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "daemon/component_cache.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"
#include "daemon/path_links.h"
#include "os/event_loop.h"

namespace warmset {

// Programs that open a file by path hold no lease, so its entries stay pinned
// until the model is uncached or its files change. Loop thread only.
class PathService {
 public:
  using Done = std::function<void(StatusOr<std::string>)>;

  PathService(os::EventLoop& loop, ThreadPool& pool, ModelRegistry& registry,
              ComponentCache& cache, ModelUse& uses, PathLinks links)
      : loop_(loop),
        pool_(pool),
        registry_(registry),
        cache_(cache),
        uses_(uses),
        links_(std::move(links)) {}

  // Caches the model's files byte for byte and calls done, later and exactly
  // once, with the path of the file, or of a folder for a model of several.
  void Open(const ModelId& model, std::string user, Done done);
  // Removes the path, if there is one, and unpins its entries; those that were
  // made for it alone are dropped.
  void Close(const ModelId& model);

 private:
  struct Opened {
    std::string path;
    std::vector<ComponentCache::Held> entries;  // pinned
  };
  void Link(const ModelId& model, const ModelUse::Result& files, const Done& done);
  void Finish(const ModelId& model, const ModelUse::Result& files,
              const std::map<std::string, LinkTarget>& beside, const Done& done);

  os::EventLoop& loop_;
  ThreadPool& pool_;
  ModelRegistry& registry_;
  ComponentCache& cache_;
  ModelUse& uses_;
  PathLinks links_;
  std::map<ModelId, Opened> opened_;
};

}  // namespace warmset
