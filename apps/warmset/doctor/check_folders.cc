#include <filesystem>
#include <optional>

#include "doctor/check.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/probe.h"

namespace warmset::cli {
namespace {

namespace fs = std::filesystem;

// Some file with content below the folder, found with bounded work.
std::optional<std::string> SomeFile(const std::string& folder) {
  constexpr int kMostLookedAt = 10'000;
  std::error_code error;
  int looked_at = 0;
  for (fs::recursive_directory_iterator
           item(folder, fs::directory_options::skip_permission_denied, error),
       end;
       !error && item != end && looked_at < kMostLookedAt; item.increment(error), ++looked_at) {
    std::error_code ignored;
    if (item->is_regular_file(ignored) && item->file_size(ignored) > 0 && !ignored) {
      return item->path().string();
    }
  }
  return std::nullopt;
}

Check CheckRoot(const std::string& root) {
  const std::string name = "root";
  if (const auto folder = os::OpenDirectory(root); !folder.ok()) {
    return Fail(name, std::string(Message(folder.status())),
                "make the folder readable, or change models.roots (--root)");
  }
  const auto file = SomeFile(root);
  if (!file) return Warn(name, root + " has no file", "put models there, or name another --root");
  const Status direct = os::ProbeDirectRead(*file);
  if (direct.ok()) return Ok(name, root + ", O_DIRECT works");
  return Warn(name,
              fmt::format("{}: no O_DIRECT ({}); models are read through the page cache", root,
                          Message(direct)),
              "keep models on ext4, xfs or btrfs");
}

// The nearest folder that exists decides whether the catalog can be made.
Check CheckHome(const std::string& home) {
  std::error_code error;
  fs::path existing = home;
  while (!fs::exists(existing, error) && existing != existing.root_path()) {
    existing = existing.parent_path();
  }
  if (os::MayWrite(existing.string())) return Ok("catalog", home);
  return Fail("catalog", fmt::format("{} can't be written to", existing.string()),
              "chown it, or name another folder with --home or $WARMSET_HOME");
}

}  // namespace

void CheckFolders(const std::string& home, const std::vector<std::string>& roots, Checks& checks) {
  checks.push_back(CheckHome(home));
  if (roots.empty()) {
    checks.push_back(Warn("root", "none: there is no Hugging Face cache, and no other is named",
                          "warmset serve --root DIR, or models.roots in warmset.toml"));
  }
  for (const std::string& root : roots) checks.push_back(CheckRoot(root));
}

}  // namespace warmset::cli
