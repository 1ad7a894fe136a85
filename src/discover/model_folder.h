// The files that may be read for one model.
#pragma once

#include <string>

#include "base/status.h"
#include "inspect/inspect.h"
#include "os/unique_fd.h"

namespace warmset {

// Opens the files of one model for whoever inspects it.
//
// What a scan has sighted is opened as it was sighted: the user's own symlinks
// are followed. A path that comes out of a file is opened beneath the model's
// folder and nowhere else; in a hub cache, whose snapshots are links, beneath the
// repo's folder, beside the blobs, and among those that the cache's repos share.
// Thread-safe.
class ModelFolder final : public FileProvider {
 public:
  // What the paths of the model's files are relative to.
  explicit ModelFolder(std::string folder) : folder_(std::move(folder)) {}

  StatusOr<os::UniqueFd> Open(const std::string& path) override;
  // kIncompleteModel for a file that is not there; kUnsafeModel for a path that is
  // absolute, has "..", or whose symlinks lead out, and for a file with further
  // names elsewhere (but in a hub cache); kCorruptedModel for what is no file.
  StatusOr<os::UniqueFd> OpenOther(const std::string& path) override;

 private:
  StatusOr<os::UniqueFd> OpenShared(const std::string& repo, const std::string& link) const;
  StatusOr<os::UniqueFd> OpenBeneath(const std::string& root, const std::string& path) const;

  const std::string folder_;
};

}  // namespace warmset
