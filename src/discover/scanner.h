// Walks folders and says which models lie there, without opening their weights.
#pragma once

#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "discover/scan_walk_state.h"
#include "discover/sighting.h"
#include "inspect/shard_index.h"

namespace warmset {

struct Root {
  std::string path;  // absolute; without a '/' at its end, see Normalized()
  bool deep = true;  // also what lies in the folders below it
  // What ComfyUI would look for in it; empty: told by the names of folders.
  std::string folder_kind = {};
  bool may_be_absent = false;  // then nothing is said about it
};
// The same without slashes at the ends of paths.
std::vector<Root> Normalized(std::vector<Root> roots);

// Recognises weights by their names: single files, shards, split GGUF files,
// transformers and diffusers folders, the Hugging Face hub's cache and Ollama's
// store (docs/architecture.md). Hidden folders are left out, symlinks are followed,
// and every folder is visited once. Whatever can't be read becomes a finding. The
// only files that are opened are the hub's refs; indexes are read by the lister.
// Not thread-safe.
class Scanner {
 public:
  using Progress = ScanWalkState::Progress;

  // Both must outlive the scanner; the cache is updated by it.
  Scanner(ShardListCache& shard_lists, ShardLister& lister)
      : shard_lists_(shard_lists), lister_(lister) {}

  using Pace = ScanWalkState::Pace;
  void SetPace(Pace pace) { pace_ = std::move(pace); }

  // kCancelled when stopped; nothing else fails as a whole. REQUIRES: the roots
  // are normalized.
  StatusOr<ScanWalk> Walk(const std::vector<Root>& roots, const Progress& progress,
                          std::stop_token stop);

  // Looks again at the folder of one earlier sighting, or at its whole repo in a
  // hub cache: gives that sighting as it is now, among others of the folder.
  ScanWalk Revisit(const Root& root, const std::string& folder);

  // What lies at an absolute path that a user points at: a folder and all below it, or one
  // file with those that belong to it, whatever it is called. The worst of the
  // sightings' verdicts and of the findings' is that of the path.
  ScanWalk LookAt(const std::string& path);

 private:
  ShardListCache& shard_lists_;
  ShardLister& lister_;
  Pace pace_;
};

}  // namespace warmset
