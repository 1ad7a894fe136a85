#include "discover/hub_layout.h"

#include <algorithm>
#include <map>
#include <memory>

#include "discover/hub_names.h"
#include "fmt/format.h"
#include "inspect/access_record.h"

namespace warmset {
namespace {

constexpr size_t kMaxRefBytes = 4096;
constexpr size_t kShortCommit = 8;
constexpr int kMaxRefDepth = 8;  // refs/pr/1, refs/convert/parquet
constexpr std::string_view kIgnored = ".DS_Store";

class RepoReader {
 public:
  RepoReader(ScanWalkState& state, const Folder& folder, const Place& place)
      : state_(state), folder_(folder), place_(place) {}

  HubRepo Read() {
    HubRepo repo;
    const std::string main_commit = ReadRefs();
    ReadTrees();
    if (folder_.HasFolder("blobs")) NoteUnfinished(folder_.path + "/blobs", repo);
    repo.place = PlaceInRepo(place_, folder_.path, main_commit, /*is_main=*/true);
    if (folder_.HasFolder("snapshots")) {
      AddSnapshots(main_commit, repo);
    } else if (!folder_.files.contains(std::string(kAccessRecordName))) {
      Corrupt(folder_.path, "a hub repo without its snapshots folder; download the model again");
    }
    return repo;
  }

 private:
  void AddSnapshots(const std::string& main_commit, HubRepo& repo) {
    const std::string path = folder_.path + "/snapshots";
    // Listed as a part of the repo, so that links are checked.
    const auto snapshots = state_.List(path, repo.place);
    if (!snapshots) return;
    for (const os::DirectoryEntry& entry : snapshots->entries) {
      if (entry.type == os::FileType::kDirectory || entry.name == kIgnored) continue;
      if (snapshots->HasFolder(entry.name)) continue;
      Corrupt(path + "/" + entry.name, "a file where only snapshots belong; remove it");
    }
    for (const auto& [name, finding] : snapshots->unusable) {
      state_.Note(path + "/" + name, CodeOfVerdict(finding.verdict), finding.message);
    }
    for (const auto& [commit, symlink] : snapshots->folders) {
      Place inside = PlaceInRepo(place_, folder_.path, commit, commit == main_commit);
      if (const auto tag = tags_.find(commit); tag != tags_.end()) inside.tag = tag->second;
      if (const auto tree = trees_.find(commit); tree != trees_.end()) inside.tree = tree->second;
      repo.snapshots.push_back({path + "/" + commit, std::move(inside)});
    }
  }

  void ReadTrees() {
    if (!folder_.HasFolder("trees")) return;
    const auto listed = state_.List(folder_.path + "/trees", place_);
    if (!listed) return;
    for (const os::DirectoryEntry& entry : listed->entries) {
      const std::string commit = entry.name.substr(0, entry.name.find('.'));
      if (!IsCommit(commit) || entry.name != commit + ".json") continue;
      if (auto tree = state_.TreeOf(folder_.path, commit)) trees_[commit] = std::move(tree);
    }
  }

  // The path in some commit of the file whose blob is called so; empty: not known.
  std::string PathOfBlob(std::string_view blob) const {
    for (const auto& [commit, tree] : trees_) {
      if (const HubFile* const file = tree->FindBlob(blob)) return file->path;
    }
    return {};
  }

  // Checks what the refs lead to; returns main's commit, empty when there is none.
  std::string ReadRefs() {
    const auto type = folder_.TypeOf("refs");
    if (!type) return {};
    if (!folder_.HasFolder("refs")) {
      Corrupt(folder_.path + "/refs", "a file in place of the folder; download the model again");
      return {};
    }
    return ReadRefsIn(folder_.path + "/refs", /*depth=*/0);
  }

  std::string ReadRefsIn(const std::string& path, int depth) {
    const auto refs = state_.List(path, place_);
    if (!refs) return {};
    std::string main_commit;
    for (const os::DirectoryEntry& entry : refs->entries) {
      if (entry.name == kIgnored) continue;
      const std::string ref = path + "/" + entry.name;
      if (entry.type == os::FileType::kDirectory) {
        if (depth < kMaxRefDepth) (void)ReadRefsIn(ref, depth + 1);
      } else if (entry.type == os::FileType::kRegular) {
        std::string commit = ReadRef(ref);
        if (depth > 0 || commit.empty()) continue;
        if (entry.name == "main") {
          main_commit = std::move(commit);
        } else {
          tags_.emplace(std::move(commit), entry.name);
        }
      }
    }
    return main_commit;
  }

  // The commit that a ref names and that is there, else nothing.
  std::string ReadRef(const std::string& path) {
    auto commit = os::ReadSmallFile(path, kMaxRefBytes);
    if (!commit.ok()) {
      state_.Note(path, CodeOf(commit.status()), Message(commit.status()));
      return {};
    }
    commit->erase(commit->find_last_not_of(" \r\n") + 1);
    if (commit->find('/') != std::string::npos || *commit == "..") {
      state_.Note(path, ErrorCode::kUnsafeModel,
                  "a ref that leads out of the repo's snapshots; remove it");
    } else if (!IsCommit(*commit)) {
      Corrupt(path, "a ref that names no commit; download the model again");
    } else if (!os::OpenDirectory(folder_.path + "/snapshots/" + *commit).ok()) {
      Corrupt(path,
              fmt::format("a ref to {}, which is not there; download the model again", *commit));
    } else {
      return *std::move(commit);
    }
    return {};
  }

  // "<etag>.incomplete", or today "<etag>.<8 digits>.incomplete".
  void NoteUnfinished(const std::string& blobs, HubRepo& repo) {
    const auto listed = state_.List(blobs, place_);
    if (!listed) return;
    for (const os::DirectoryEntry& entry : listed->entries) {
      if (!entry.name.ends_with(".incomplete")) continue;
      repo.unfinished = true;
      std::string path = PathOfBlob(entry.name.substr(0, entry.name.find('.')));
      const std::string of = path.empty() ? path : fmt::format(" of {}", path);
      state_.Note(blobs + "/" + entry.name, ErrorCode::kIncompleteModel,
                  fmt::format("a download{} that is not finished; start it again to go on", of));
      if (!path.empty()) repo.unfinished_files.push_back(std::move(path));
    }
  }

  void Corrupt(const std::string& path, std::string_view message) {
    state_.Note(path, ErrorCode::kCorruptedModel, message);
  }

  ScanWalkState& state_;
  const Folder& folder_;
  const Place& place_;
  std::map<std::string, std::shared_ptr<const HubTree>> trees_;  // by commit
  std::map<std::string, std::string> tags_;                      // likewise
};

}  // namespace

bool IsHubRepo(const Folder& folder) {
  if (!RepoIdOf(BaseName(folder.path))) return false;
  if (folder.HasFolder("snapshots")) return true;
  // A folder that only has such a name is one with models as any other.
  return folder.HasFolder("blobs") || folder.TypeOf("refs") || folder.TypeOf("snapshots") ||
         std::all_of(folder.entries.begin(), folder.entries.end(),
                     [](const os::DirectoryEntry& entry) { return entry.name.starts_with('.'); });
}

bool IsOtherHubRepo(std::string_view folder_name) {
  return folder_name.starts_with("datasets--") || folder_name.starts_with("spaces--");
}

HubRepo ReadHubRepo(ScanWalkState& state, const Folder& folder, const Place& place) {
  return RepoReader(state, folder, place).Read();
}

Place PlaceInRepo(const Place& place, const std::string& repo_path, const std::string& commit,
                  bool is_main) {
  const std::string repo_id = RepoIdOf(BaseName(repo_path)).value_or(BaseName(repo_path));
  Place inside = place;
  inside.id = place.id + (is_main ? "@main" : "@" + commit);
  inside.prefix = is_main ? repo_id : repo_id + "@" + commit.substr(0, kShortCommit);
  inside.parent = ParentOf(repo_path);
  inside.repo = repo_path;
  inside.repo_target = os::CanonicalPath(repo_path).value_or(repo_path);
  inside.commit = commit;
  inside.folder_kind.clear();
  return inside;
}

void SightEmptyRepo(ScanWalkState& state, const Folder& folder, const HubRepo& repo) {
  Sighting sighting;
  sighting.base_name = repo.place.prefix;
  sighting.parent = state.Share(repo.place.parent);
  sighting.root = state.Share(repo.place.root);
  sighting.path = folder.path;
  sighting.folder = state.Share(folder.path);
  sighting.boundary = state.Share(folder.path);
  sighting.model.layout = ModelLayout::kTransformers;
  const std::string record(kAccessRecordName);
  if (const auto file = folder.files.find(record); file != folder.files.end()) {
    sighting.model.files.push_back({record, file->second.identity, ""});
  } else if (repo.unfinished) {
    const auto unfinished = [&](const std::string& path) {
      sighting.findings.push_back(
          FindingOf(Error(ErrorCode::kIncompleteModel,
                          "its download is not finished; start it again to go on"),
                    path));
    };
    for (const std::string& path : repo.unfinished_files) unfinished(path);
    if (repo.unfinished_files.empty()) unfinished("");
  } else {
    return;
  }
  state.Sight(std::move(sighting), repo.place.id);
}

}  // namespace warmset
