#include "discover/hub_blobs.h"

#include <filesystem>

#include "discover/hub_names.h"
#include "os/directory.h"
#include "os/file.h"

namespace warmset {
namespace {

constexpr std::string_view kMarker = ".huggingface-shared-blobs";
constexpr size_t kPrefixDigits = 2;

// Where one symlink leads, by its text; nothing for what is none.
std::optional<std::string> NextHop(const std::string& link) {
  const auto folder = os::CanonicalPath(ParentOf(link));
  if (!folder.ok()) return std::nullopt;
  const auto fd = os::OpenDirectory(*folder);
  if (!fd.ok()) return std::nullopt;
  const auto text = os::ReadLinkAt(fd->get(), BaseName(link));
  if (!text.ok()) return std::nullopt;
  return (std::filesystem::path(*folder) / *text).lexically_normal().string();
}

}  // namespace

bool IsSharedBlobStore(const Folder& folder) {
  return BaseName(folder.path) == "blobs" && folder.TypeOf(kMarker) == os::FileType::kRegular;
}

std::optional<std::string> SharedBlobOf(const std::string& link, const std::string& repo) {
  const auto blob = NextHop(link);
  if (!blob || ParentOf(*blob) != repo + "/blobs") return std::nullopt;
  const auto payload = NextHop(*blob);
  if (!payload) return std::nullopt;
  // No further link: neither the payload nor a folder on the way to it.
  if (os::CanonicalPath(*payload).value_or("") != *payload) return std::nullopt;
  const auto marker = SharedBlobMarkerOf(*payload);
  if (!marker || ParentOf(*marker) != ParentOf(repo) + "/blobs") return std::nullopt;
  return os::IdentifyPath(*marker).ok() ? payload : std::nullopt;
}

std::optional<std::string> SharedBlobMarkerOf(const std::string& payload) {
  const std::string hash = BaseName(payload);
  const std::string folder = ParentOf(payload);
  const std::string store = ParentOf(folder);
  const bool fits = IsSha256Digits(hash) && BaseName(folder) == hash.substr(0, kPrefixDigits) &&
                    BaseName(store) == "blobs";
  if (!fits) return std::nullopt;
  return store + "/" + std::string(kMarker);
}

}  // namespace warmset
