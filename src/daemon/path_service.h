// `warmset path`: a model's files by path, out of RAM.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/disk_threads.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "daemon/component_cache.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"
#include "daemon/path_folder.h"
#include "os/event_loop.h"

namespace warmset {

// What a program opens.
struct OpenedPath {
  struct Part {
    std::string name;  // relative to the folder
    uint64_t bytes = 0;
    bool guarded = false;  // a file of its own; else a link to this process's memory
  };
  std::string path;         // a file, or the folder of a model of several files
  std::string folder;       // that the file lies in
  std::vector<Part> parts;  // the weights, in the order of the model's files
  std::string reason;       // why some part is a link; else empty
  std::vector<std::string> warnings;  // for the user, although it worked
};

// Programs that open a file by path hold no lease, so its entries stay pinned
// until the model is uncached, its time is over or its files change. Loop thread only.
class PathService {
 public:
  using Done = std::function<void(StatusOr<OpenedPath>)>;

  // Folders are looked into by `disks`.
  PathService(os::EventLoop& loop, DiskThreads& disks, ModelRegistry& registry,
              ComponentCache& cache, ModelUse& uses, PathFolder& folder, Catalog& catalog)
      : loop_(loop),
        disks_(disks),
        registry_(registry),
        cache_(cache),
        uses_(uses),
        folder_(folder),
        catalog_(catalog) {}

  // Caches the model's files byte for byte and calls done, later and exactly
  // once. What is open already stays as it is.
  ModelUse::UseId Open(const ModelId& model, std::string user, Done done) {
    return Open(ModelUse::Request{.model = model, .user = std::move(user)}, std::move(done));
  }
  // The same with a file that a client passed, see ModelUse::Request.
  ModelUse::UseId Open(ModelUse::Request request, Done done);
  // An entry's file is not to be trusted any more: removes its names, lets it go, and
  // opens its models again.
  void Withdraw(const ComponentId& component);
  // Opens what was open in an earlier daemon, as far as there is room, taking over the
  // files that it left, and then removes those that nobody took. Calls done at the end.
  void Restore(std::function<void()> done);
  // The daemon ends: leaves the files of pinned models to the next one.
  void LeavePinned();
  // Removes the path, if there is one, and unpins its entries; those that were
  // made for it alone are dropped. Returns how many bytes that gave back.
  uint64_t Close(const ModelId& model);
  void CloseAll();

  // What the model is open as; nullptr while it is not.
  const OpenedPath* Find(const ModelId& model) const {
    const auto opened = opened_.find(model);
    return opened == opened_.end() ? nullptr : &opened->second.path;
  }
  // Bytes in RAM of the model's files that are no component of it: what
  // `warmset path` holds beside the components.
  uint64_t OwnBytes(const ModelId& model) const;
  // Where a component lies in a file that is open; nothing unless it does.
  std::optional<ModelUse::View> ViewOf(const ComponentId& component) const;
  // The components that are views of this file.
  std::set<ComponentId> ViewsOf(const ComponentId& file) const;
  // The model whose file an entry holds that is no component; nullptr for any other.
  const Model* OwnerOf(const ComponentId& file) const;

 private:
  struct File {
    ComponentId id;
    ComponentCache::Held held;  // pinned
    std::string name;
  };
  struct View {
    ComponentId file;
    ByteRanges ranges;
  };
  struct Opened {
    OpenedPath path;
    std::vector<File> files;
    std::map<ComponentId, View> views;  // components that lie in files that are none
  };
  bool IsOwn(const ComponentId& file) const { return registry_.UsersOf(file).empty(); }
  // Drops what no open path holds and no model has. Returns the bytes given back.
  uint64_t DropUnused(std::vector<File> files);
  void RestoreNext(const std::shared_ptr<std::vector<ModelId>>& models,
                   const std::function<void()>& done);
  // Lets go of components that lie in the model's open files, too, and that nobody uses.
  void DropViewed(const Opened& opened);
  // Writes what is open into the catalog.
  void Record(const ModelId& model) const;
  void Link(const ModelId& model, const ModelUse::Result& files, const Done& done);
  // Answers with what is open; false where nothing is.
  bool AnswerAsOpen(const ModelId& model, std::string warning, const Done& done);
  void Finish(const ModelId& model, const ModelUse::Result& files,
              const std::map<std::string, PathTarget>& beside, const Done& done);

  os::EventLoop& loop_;
  DiskThreads& disks_;
  ModelRegistry& registry_;
  ComponentCache& cache_;
  ModelUse& uses_;
  PathFolder& folder_;
  Catalog& catalog_;
  std::map<ModelId, Opened> opened_;
};

}  // namespace warmset
