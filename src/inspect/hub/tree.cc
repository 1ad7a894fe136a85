#include "inspect/hub/tree.h"

#include <algorithm>

#include "fmt/format.h"
#include "inspect/json.h"
#include "inspect/shard_index.h"
#include "os/file.h"

namespace warmset {
namespace {

constexpr uint64_t kFormatVersion = 1;
constexpr size_t kMaxPathBytes = 1024;
constexpr size_t kSha1Digits = 40;
constexpr size_t kSha256Digits = 64;

Status Corrupt(std::string_view what) {
  return Error(ErrorCode::kCorruptedModel, fmt::format("tree of a commit: {}", what));
}

bool IsDigest(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

constexpr std::string_view kSha256 = "sha256:";
constexpr std::string_view kGitSha1 = "git-sha1:";

std::string ClaimedHashIn(const simdjson::dom::element& file) {
  std::string_view digest;
  if (!file["lfs_sha256"].get(digest) && IsDigest(digest, kSha256Digits)) {
    return fmt::format("{}{}", kSha256, digest);
  }
  if (!file["blob_id"].get(digest) && IsDigest(digest, kSha1Digits)) {
    return fmt::format("{}{}", kGitSha1, digest);
  }
  return {};
}

}  // namespace

const HubFile* HubTree::Find(std::string_view path) const {
  const auto at = std::lower_bound(files.begin(), files.end(), path,
                                   [](const HubFile& file, std::string_view wanted) {
                                     return std::string_view(file.path) < wanted;
                                   });
  return at != files.end() && at->path == path ? &*at : nullptr;
}

const HubFile* HubTree::FindBlob(std::string_view blob) const {
  for (const HubFile& file : files) {
    const std::string_view hash = file.claimed_hash;
    if (!blob.empty() && hash.substr(hash.find(':') + 1) == blob) return &file;
  }
  return nullptr;
}

StatusOr<HubTree> ParseHubTree(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  simdjson::dom::object files;
  uint64_t version = 0;
  if (const auto error = parser.parse(json.data(), json.size()).get(document)) {
    return Corrupt(JsonErrorText(error));
  }
  if (document["format_version"].get(version)) return Corrupt("it has no format_version");
  if (version != kFormatVersion) {
    return Error(ErrorCode::kUnsupportedFormat,
                 fmt::format("tree of a commit: format_version {}", version));
  }
  if (document["files"].get(files)) return Corrupt("it has no files");
  HubTree tree;
  for (const auto& [path, value] : files) {
    HubFile file;
    // What is "size" for a pointer's own size is left to lfs_size.
    if (value["lfs_size"].get(file.size) && value["size"].get(file.size)) {
      return Corrupt("a file has no size");
    }
    if (path.size() > kMaxPathBytes || !IsPathBelow(path)) continue;
    file.path = path;
    file.claimed_hash = ClaimedHashIn(value);
    tree.files.push_back(std::move(file));
  }
  std::sort(tree.files.begin(), tree.files.end(),
            [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  const auto twice =
      std::adjacent_find(tree.files.begin(), tree.files.end(),
                         [](const HubFile& a, const HubFile& b) { return a.path == b.path; });
  if (twice != tree.files.end()) return Corrupt("a file is there twice");
  return tree;
}

StatusOr<HubTree> ReadHubTree(int tree_fd) {
  ASSIGN_OR_RETURN(const std::string json, os::ReadSmallFile(tree_fd, kMaxHubTreeBytes));
  return ParseHubTree(json);
}

bool IsClaimedHash(std::string_view text) {
  if (text.starts_with(kSha256)) return IsDigest(text.substr(kSha256.size()), kSha256Digits);
  if (text.starts_with(kGitSha1)) return IsDigest(text.substr(kGitSha1.size()), kSha1Digits);
  return text.empty();
}

bool IsPathBelow(std::string_view path) {
  if (!IsPrintable(path)) return false;
  for (;;) {
    const size_t slash = path.find('/');
    if (!IsBareName(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace warmset
