#include "discover/hub_names.h"

#include <algorithm>

namespace warmset {
namespace {

constexpr std::string_view kRepoPrefix = "models--";
constexpr size_t kSha1Digits = 40;
constexpr size_t kSha256Digits = 64;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::optional<std::string> RepoIdOf(std::string_view folder_name) {
  if (!folder_name.starts_with(kRepoPrefix) || folder_name.size() == kRepoPrefix.size()) {
    return std::nullopt;
  }
  std::string id(folder_name.substr(kRepoPrefix.size()));
  if (const size_t mark = id.find("--"); mark != std::string::npos) id.replace(mark, 2, "/");
  return id;
}

std::optional<std::string> RepoFolderOf(std::string_view path) {
  const size_t snapshots = path.find("/snapshots/");
  if (snapshots == std::string_view::npos) return std::nullopt;
  const std::string_view folder = path.substr(0, snapshots);
  if (!RepoIdOf(folder.substr(folder.rfind('/') + 1))) return std::nullopt;
  return std::string(folder);
}

bool IsCommit(std::string_view text) { return text.size() == kSha1Digits && IsHex(text); }

bool IsSha256Digits(std::string_view text) { return text.size() == kSha256Digits && IsHex(text); }

std::string ClaimedHashOf(std::string_view link_target) {
  constexpr std::string_view kBlobs = "/blobs/";
  const size_t blobs = link_target.rfind(kBlobs);
  if (blobs == std::string_view::npos) return {};
  const std::string digest(link_target.substr(blobs + kBlobs.size()));
  if (!IsHex(digest)) return {};
  if (digest.size() == kSha256Digits) return "sha256:" + digest;
  return digest.size() == kSha1Digits ? "git-sha1:" + digest : std::string();
}

}  // namespace warmset
