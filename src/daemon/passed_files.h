// Files that clients pass by descriptor: which model they belong to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "catalog/catalog.h"
#include "daemon/library_service.h"
#include "daemon/model_registry.h"
#include "isolate/inspector.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"

namespace warmset {

// A component that has bytes of the file.
struct FilePart {
  std::string component;
  // Where in the component's memory the file's bytes are, as [begin, end);
  // empty when the component has bytes of no other file.
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
};

struct PassedFile {
  ModelId model;
  RevisionId revision;  // of the model; the parts hold for this one
  uint32_t index = 0;   // among the model's files
  std::vector<FilePart> parts;
};

// A file outside the roots becomes an ad hoc model, named by its base name, that
// is known until its entry leaves the RAM. Loop thread only.
class PassedFiles {
 public:
  using Done = std::function<void(StatusOr<PassedFile>)>;
  using OnDropped = LibraryService::OnDropped;

  // on_dropped as in LibraryService: an ad hoc model's file has other content.
  PassedFiles(os::EventLoop& loop, ThreadPool& pool, ModelRegistry& registry,
              LibraryService& library, Catalog& catalog, Inspector& inspector,
              OnDropped on_dropped);

  // Calls done later and exactly once. Errors: kInvalidRequest for a descriptor
  // that is no readable file, and those of InspectFile().
  // Also kCorruptedModel and kIncompatibleModel, for a file that may not be used.
  void Resolve(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path,
               Done done);

  // What is in the file; it does not become a model. Calls done later and once.
  void Look(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path,
            std::function<void(const StatusOr<Manifest>&)> done);

 private:
  struct Inspected {
    os::FileIdentity identity;
    ModelSummary summary;  // without id and name
    Manifest manifest;
  };
  StatusOr<Inspected> Inspect(int fd, const std::string& name) const;
  void OnIdentified(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path,
                    const os::FileIdentity& identity, Done done);
  void PartsOf(const ModelId& model, uint32_t index, Done done);
  void Register(Inspected inspected, const std::string& client_path);
  void Forget(const ModelId& id);
  std::string UniqueName(const std::string& client_path) const;

  os::EventLoop& loop_;
  ThreadPool& pool_;
  ModelRegistry& registry_;
  LibraryService& library_;
  Catalog& catalog_;
  Inspector& inspector_;
  const OnDropped on_dropped_;
};

}  // namespace warmset
