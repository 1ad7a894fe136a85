#include <chrono>
#include <filesystem>
#include <optional>

#include "catalog/open_database.h"
#include "doctor/check.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/probe.h"
#include "os/process.h"

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
    // A drive that is not plugged in, or a folder of ComfyUI's that nobody made, is fine.
    if (CodeOf(folder.status()) == ErrorCode::kFileNotFound) {
      return Warn(name, root + " is not there", "its models come back with it");
    }
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

// In a process of its own, as one that waits for a dead server can't be ended.
Check CheckRootInTime(const std::string& root) {
  constexpr std::chrono::seconds kPatience{3};
  const auto answer = os::AnswerOf(
      [&root] {
        const Check check = CheckRoot(root);
        return fmt::format("{}\n{}\n{}", static_cast<int>(check.health), check.finding, check.mend);
      },
      kPatience);
  if (!answer.ok()) {
    return Warn("root", fmt::format("{}: {}", root, Message(answer.status())),
                "look at the disk or the server; what is in RAM is served meanwhile");
  }
  const size_t finding = answer->find('\n') + 1;
  const size_t mend = answer->find('\n', finding) + 1;
  return {"root", static_cast<Health>(answer->front() - '0'),
          answer->substr(finding, mend - 1 - finding), answer->substr(mend)};
}

// The nearest folder that exists decides whether the catalog can be made.
Check CheckHome(const std::string& home) {
  constexpr const char* kName = "home";
  constexpr uintmax_t kLittle = 1 << 20;  // the journal alone may take as much
  std::error_code error;
  fs::path existing = home;
  while (!fs::exists(existing, error) && existing != existing.root_path()) {
    existing = existing.parent_path();
  }
  const std::string meanwhile = "; a daemon serves models all the same, and forgets what it learns";
  if (!os::MayWrite(existing.string())) {
    return Fail(kName, fmt::format("{} can't be written to{}", existing.string(), meanwhile),
                "chown or remount it, or name another folder with --home or $WARMSET_HOME");
  }
  const fs::space_info space = fs::space(existing, error);
  if (!error && space.available < kLittle) {
    return Fail(kName, fmt::format("the disk of {} is full{}", existing.string(), meanwhile),
                "make room on it, or name another folder with --home or $WARMSET_HOME");
  }
  return Ok(kName, home);
}

Check CheckCatalogFile(const std::string& home) {
  constexpr const char* kName = "catalog";
  const std::string path = home + "/catalog.sqlite";
  const CatalogCheck check = CheckCatalog(path);
  switch (check.health) {
    case CatalogHealth::kGood:
      return Ok(kName, path);
    case CatalogHealth::kAbsent:
      return Ok(kName, "none yet");
    case CatalogHealth::kDamaged:
      return Fail(kName, fmt::format("{} is damaged: {}", path, check.reason),
                  "restart the daemon: it keeps the file under another name and begins a new one; "
                  "`warmset scan` finds the models again");
    case CatalogHealth::kNewer:
      return Warn(kName, fmt::format("{} is of a newer Warmset: {}", path, check.reason),
                  "use that version, or another folder with --home or $WARMSET_HOME");
    case CatalogHealth::kUnreadable:
      return Warn(kName, check.reason, "make it readable for this user");
  }
  return Ok(kName, path);
}

}  // namespace

void CheckFolders(const std::string& home, const std::vector<std::string>& roots, Checks& checks) {
  checks.push_back(CheckHome(home));
  checks.push_back(CheckCatalogFile(home));
  if (roots.empty()) {
    checks.push_back(Warn("root", "none: there is no Hugging Face cache, and no other is named",
                          "warmset serve --root DIR, or models.roots in warmset.toml"));
  }
  for (const std::string& root : roots) checks.push_back(CheckRootInTime(root));
}

}  // namespace warmset::cli
