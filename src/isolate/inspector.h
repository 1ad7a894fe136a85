// Who looks into models: this process, or helpers behind the process border.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "inspect/inspect.h"
#include "inspect/manifest.h"
#include "inspect/shard_index.h"

namespace warmset {

struct Inspected {
  Manifest manifest;
  std::string encoded;  // the same, as EncodeManifest() gives it
  // False when the same files may be found to be fine another time: a reader that
  // was killed from outside, a disk that was slow.
  bool lasting = true;
};

// Thread-safe; calls block.
class Inspector : public ShardLister {
 public:
  // As InspectModel(), and what it says of errors holds.
  virtual StatusOr<Inspected> Inspect(const ModelFiles& model, FileProvider& files) = 0;

  // As the function InspectFile().
  StatusOr<Inspected> InspectFile(int fd, const std::string& name);
};

// Reads in this process, with nothing between a file and whoever asks: for tests,
// and for a process that is in a sandbox itself.
class InProcessInspector final : public Inspector {
 public:
  StatusOr<Inspected> Inspect(const ModelFiles& model, FileProvider& files) override;
  StatusOr<std::vector<std::string>> ShardsOf(int index_fd) override;
  StatusOr<HubTree> TreeOf(int tree_fd) override;
};

}  // namespace warmset
