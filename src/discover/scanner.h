// Walks folders and says which models lie there, without opening their weights.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/status.h"
#include "catalog/catalog.h"
#include "inspect/inspect.h"
#include "os/file.h"

namespace warmset {

struct Root {
  std::string path;  // absolute; without a '/' at its end, see Normalized()
  bool deep = true;  // also what lies in the folders below it
};
// The same without slashes at the ends of paths.
std::vector<Root> Normalized(std::vector<Root> roots);

// A model as a scan sees it: where it is and which files it has.
struct Sighting {
  ModelId id;             // of the canonical place; of a hub repo's main, not of the commit
  RevisionId revision;    // of the files' names and identities
  std::string base_name;  // what it is called if nothing else is
  std::string parent;     // folder whose last parts tell it from namesakes
  std::string root;       // as configured
  std::string path;       // the weights file, the index of shards, or the folder
  std::string folder;     // what the files' paths are relative to
  ModelFiles model;
};

// The folders that were listed below each root.
using FoldersByRoot = std::map<std::string, std::vector<std::string>>;

// Something that a scan could not use, or that is odd.
struct ScanFinding {
  std::string path;  // absolute; empty: the scan itself
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

struct ScanWalk {
  std::vector<Sighting> sightings;  // one per id, in the order they were found
  FoldersByRoot folders;
  std::vector<std::string> unreadable;  // folders that exist and could not be listed
  std::vector<ScanFinding> findings;
  uint64_t files = 0;  // weights files seen
};

// Shard lists of index files that were read before, by their identity.
using ShardListCache = std::map<os::FileIdentity, std::vector<std::string>>;

// Recognises diffusers and transformers folders, shard sets, single files and
// the Hugging Face hub's cache (docs/architecture.md). Hidden folders are left
// out, symlinks are followed, and every folder is visited once. Whatever can't
// be read becomes a finding. Not thread-safe.
class Scanner {
 public:
  // Called for every folder with its path and the weights files seen so far.
  using Progress = std::function<void(uint64_t files, const std::string& folder)>;

  // The cache must outlive the scanner and is updated by it.
  explicit Scanner(ShardListCache& shard_lists) : shard_lists_(shard_lists) {}

  // kCancelled when stopped; nothing else fails as a whole. REQUIRES: the roots
  // are normalized.
  StatusOr<ScanWalk> Walk(const std::vector<Root>& roots, const Progress& progress,
                          std::stop_token stop);

  // Looks again at the folder of one earlier sighting, or at its whole repo in a
  // hub cache: gives that sighting as it is now, among others of the folder.
  ScanWalk Revisit(const std::string& root, const std::string& folder);

 private:
  ShardListCache& shard_lists_;
};

}  // namespace warmset
