#include "inspection/readable_paths.h"

#include <filesystem>
#include <set>

#include "discover/hub_blobs.h"
#include "discover/hub_names.h"
#include "os/directory.h"

namespace warmset::cli {
namespace {

// As far as a scan goes.
constexpr int kMaxDepth = 64;
// Each is a rule of the kernel's; a folder of more can be named itself.
constexpr size_t kMaxPaths = 10'000;

bool LiesBelow(const std::string& path, const std::string& folder) {
  return path.starts_with(folder) &&
         (path.size() == folder.size() || path[folder.size()] == '/' || folder == "/");
}

class Collector {
 public:
  void AddFolder(const std::string& folder, bool deep) {
    const auto repo = RepoFolderOf(folder);
    Add(repo.value_or(folder), deep, 0);
    // A snapshot's files are links to the repo's blobs, and those may lead further.
    if (repo && !deep) FollowLinks(*repo + "/blobs", /*deep=*/false, 0);
  }
  void AddFile(const std::string& file) { paths_.insert(file); }

  std::vector<std::string> Take() const { return {paths_.begin(), paths_.end()}; }

 private:
  bool IsReadable(const std::string& path) const {
    for (const std::string& known : paths_) {
      if (LiesBelow(path, known)) return true;
    }
    return false;
  }

  void Add(const std::string& folder, bool deep, int depth) {
    paths_.insert(folder);
    FollowLinks(folder, deep, depth);
  }

  void FollowLinks(const std::string& folder, bool deep, int depth) {
    const auto fd = os::OpenDirectory(folder);
    if (!fd.ok() || depth > kMaxDepth) return;
    const auto entries = os::ListDirectory(fd->get());
    if (!entries.ok()) return;
    for (const os::DirectoryEntry& entry : *entries) {
      if (paths_.size() >= kMaxPaths || entry.name.starts_with('.')) continue;
      const std::string path = folder == "/" ? "/" + entry.name : folder + "/" + entry.name;
      if (entry.type == os::FileType::kDirectory) {
        if (deep) FollowLinks(path, deep, depth + 1);
      } else if (entry.type == os::FileType::kSymlink) {
        const auto target = os::CanonicalPath(path);
        if (!target.ok() || IsReadable(*target)) continue;
        paths_.insert(*target);
        if (const auto marker = SharedBlobMarkerOf(*target)) paths_.insert(*marker);
        if (deep) FollowLinks(*target, deep, depth + 1);
      }
    }
  }

  std::set<std::string> paths_;
};

}  // namespace

std::vector<std::string> ReadablePaths(const std::string& path) {
  const auto canonical = os::CanonicalPath(path);
  if (!canonical.ok()) return {};
  Collector collector;
  if (os::OpenDirectory(*canonical).ok()) {
    collector.AddFolder(*canonical, /*deep=*/true);
    return collector.Take();
  }
  // Where it lies and, if it is a symlink, where it leads to.
  const std::filesystem::path given(path);
  const auto folder = os::CanonicalPath(given.has_parent_path() ? given.parent_path() : ".");
  if (folder.ok()) collector.AddFolder(*folder, /*deep=*/false);
  collector.AddFile(*canonical);
  return collector.Take();
}

}  // namespace warmset::cli
