// `warmset path`: a model's files by path, out of RAM.
#pragma once

#include <cstdint>
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
#include "daemon/path_folder.h"
#include "os/event_loop.h"

namespace warmset {

// What a program opens.
struct OpenedPath {
  struct Part {
    std::string path;
    uint64_t bytes = 0;
  };
  std::string path;         // a file, or the folder of a model of several files
  std::string folder;       // that the file lies in
  std::vector<Part> parts;  // the weights, in the order of the model's files
};

// Programs that open a file by path hold no lease, so its entries stay pinned
// until the model is uncached, its time is over or its files change. Loop thread only.
class PathService {
 public:
  using Done = std::function<void(StatusOr<OpenedPath>)>;

  PathService(os::EventLoop& loop, ThreadPool& pool, ModelRegistry& registry, ComponentCache& cache,
              ModelUse& uses, PathFolder folder)
      : loop_(loop),
        pool_(pool),
        registry_(registry),
        cache_(cache),
        uses_(uses),
        folder_(std::move(folder)) {}

  // Caches the model's files byte for byte and calls done, later and exactly
  // once. What is open already stays as it is.
  void Open(const ModelId& model, std::string user, Done done);
  // Removes the path, if there is one, and unpins its entries; those that were
  // made for it alone are dropped. Returns how many bytes that gave back.
  uint64_t Close(const ModelId& model);

  // What the model is open as; nullptr while it is not.
  const OpenedPath* Find(const ModelId& model) const {
    const auto opened = opened_.find(model);
    return opened == opened_.end() ? nullptr : &opened->second.path;
  }
  // Bytes in RAM of the model's files that are no component of it: what
  // `warmset path` holds beside the components.
  uint64_t OwnBytes(const ModelId& model) const;
  // The model whose file an entry holds that is no component; nullptr for any other.
  const Model* OwnerOf(const ComponentId& file) const;

 private:
  struct File {
    ComponentId id;
    ComponentCache::Held held;  // pinned
  };
  struct Opened {
    OpenedPath path;
    std::vector<File> files;
  };
  bool IsOwn(const ComponentId& file) const { return registry_.UsersOf(file).empty(); }
  // Drops what no open path holds and no model has. Returns the bytes given back.
  uint64_t DropUnused(std::vector<File> files);
  void Link(const ModelId& model, const ModelUse::Result& files, const Done& done);
  void Finish(const ModelId& model, const ModelUse::Result& files,
              const std::map<std::string, PathTarget>& beside, const Done& done);

  os::EventLoop& loop_;
  ThreadPool& pool_;
  ModelRegistry& registry_;
  ComponentCache& cache_;
  ModelUse& uses_;
  PathFolder folder_;
  std::map<ModelId, Opened> opened_;
};

}  // namespace warmset
