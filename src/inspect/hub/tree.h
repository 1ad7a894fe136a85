// What a commit of a Hugging Face repo consists of, as the hub's client keeps it:
// models--ORG--NAME/trees/<commit>.json
//   {"format_version": 1, "files": {PATH: {"size": N, "blob_id": SHA1,
//    "lfs_sha256": SHA256, "lfs_size": N, "xet_hash": HASH}}}
// The last three are there for large files alone. A file's blob is named by its
// lfs_sha256, else by its blob_id; xet_hash is a hash of another kind and names none.
// Source: huggingface_hub 2.4, cached_repo_tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace warmset {

struct HubFile {
  std::string path;  // relative to the snapshot
  uint64_t size = 0;
  std::string claimed_hash;  // "sha256:…" or "git-sha1:…"; empty: the tree has none

  friend bool operator==(const HubFile&, const HubFile&) = default;
};

// The files of one commit, by path.
struct HubTree {
  std::vector<HubFile> files;

  const HubFile* Find(std::string_view path) const;
  // The file whose blob is called so.
  const HubFile* FindBlob(std::string_view blob) const;
};

inline constexpr size_t kMaxHubTreeBytes = size_t{64} << 20;  // of some 200,000 files

// kCorruptedModel for what is no such file, kUnsupportedFormat for another
// format_version. Files with paths that lead out of the snapshot, can't be shown or
// are too long are left out.
StatusOr<HubTree> ParseHubTree(std::string_view json);

// The same for an open file, read in this process.
StatusOr<HubTree> ReadHubTree(int tree_fd);

// True for what HubFile::claimed_hash may be.
bool IsClaimedHash(std::string_view text);
// True for a path below a folder: no part of it is empty, "." or "..", and it can be shown.
bool IsPathBelow(std::string_view path);

}  // namespace warmset
