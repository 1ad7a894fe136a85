#include "discover/scanner.h"

#include <algorithm>
#include <utility>

#include "discover/folder_kinds.h"
#include "discover/hub_blobs.h"
#include "discover/hub_layout.h"
#include "discover/hub_names.h"
#include "discover/ollama_layout.h"
#include "discover/weights_sighter.h"
#include "os/directory.h"

namespace warmset {
namespace {

constexpr int kMaxDepth = 64;

// The kind that the folders between a root and a folder tell, the nearest first.
std::string KindOnTheWay(const Root& root, const std::string& folder) {
  for (std::string path = folder; path.size() > root.path.size(); path = ParentOf(path)) {
    if (const std::string_view kind = FolderKindOf(BaseName(path)); !kind.empty()) {
      return std::string(kind);
    }
  }
  if (!root.folder_kind.empty()) return root.folder_kind;
  return std::string(FolderKindOf(BaseName(root.path)));
}

class WalkInProgress {
 public:
  explicit WalkInProgress(ScanWalkState& state) : state_(state) {}

  // Visits a folder at or below a root.
  void Start(const Root& root, const std::string& start, bool deep) {
    if (!state_.Enter(start)) return;
    if (start == root.path) state_.LookAt(start);
    const auto place = PlaceAt(root, start);
    if (place.ok()) {
      Visit(start, *place, deep, 0);
    } else if (!root.may_be_absent || CodeOf(place.status()) != ErrorCode::kFileNotFound) {
      state_.NoteUnreadable(start, place.status());
    }
  }

  void StartAtFile(const std::string& path) {
    const std::string parent = ParentOf(path);
    const auto place = PlaceAt({.path = parent}, parent);
    if (!place.ok()) {
      state_.NoteUnreadable(parent, place.status());
      return;
    }
    const std::string name = BaseName(path);
    const auto folder = state_.ListFor(parent, *place, name);
    if (!folder) return;
    if (folder->files.contains(name) || folder->unusable.contains(name)) {
      WeightsSighter(state_, *folder, *place).SightFile(name);
    } else {
      state_.Note(path, ErrorCode::kFileNotFound, "there is no such file");
    }
  }

 private:
  StatusOr<Place> PlaceAt(const Root& root, const std::string& path) {
    Place place;
    ASSIGN_OR_RETURN(place.id, os::CanonicalPath(path));
    place.root = root.path;
    place.folder_kind = KindOnTheWay(root, path);
    const auto repo = RepoFolderOf(path + "/");
    if (!repo) return place;
    // A start within a snapshot, of which the links are bound to the repo, too.
    std::string_view inside = std::string_view(path).substr(repo->size());
    inside.remove_prefix(std::string_view("/snapshots/").size());
    const std::string commit(inside.substr(0, inside.find('/')));
    Place within = PlaceInRepo(place, *repo, commit, /*is_main=*/false);
    within.tree = state_.TreeOf(*repo, commit);
    inside.remove_prefix(std::min(inside.size(), commit.size() + 1));
    if (!inside.empty()) within.in_snapshot = std::string(inside) + "/";
    return within;
  }

  void Visit(const std::string& path, const Place& place, bool deep, int depth) {
    if (state_.stopped()) return;
    if (depth > kMaxDepth) {
      state_.Note(path, ErrorCode::kInvalidRequest, "too many folders within each other");
      return;
    }
    const auto folder = state_.List(path, place);
    if (!folder) return;
    if (IsSharedBlobStore(*folder)) return;
    if (!place.in_hub() && IsHubRepo(*folder)) {
      VisitRepo(*folder, place);
      return;
    }
    if (!place.in_hub() && IsOllamaStore(*folder)) {
      SightOllamaStore(state_, *folder, place);
      return;
    }
    WeightsSighter(state_, *folder, place).SightAll();
    // A pipeline's folders are its components.
    if (!deep || folder->files.contains("model_index.json")) return;
    for (const auto& [name, symlink] : folder->folders) {
      if (!place.in_hub() && IsOtherHubRepo(name)) continue;
      if (const auto below = state_.Below(*folder, place, name, symlink)) {
        Visit(path + "/" + name, *below, deep, depth + 1);
      }
    }
  }

  // A hub repo: main's snapshot carries the repo's name, others their commit's.
  void VisitRepo(const Folder& folder, const Place& place) {
    const size_t before = state_.sightings();
    const HubRepo repo = ReadHubRepo(state_, folder, place);
    for (const HubSnapshot& snapshot : repo.snapshots) {
      Visit(snapshot.path, snapshot.place, /*deep=*/true, 0);
    }
    if (state_.sightings() == before) SightEmptyRepo(state_, folder, repo);
  }

  ScanWalkState& state_;
};

}  // namespace

std::vector<Root> Normalized(std::vector<Root> roots) {
  for (Root& root : roots) {
    while (root.path.size() > 1 && root.path.back() == '/') root.path.pop_back();
  }
  return roots;
}

StatusOr<ScanWalk> Scanner::Walk(const std::vector<Root>& roots, const Progress& progress,
                                 std::stop_token stop) {
  ScanWalkState state(shard_lists_, lister_, progress, stop);
  state.SetPace(pace_);
  for (const Root& root : roots) WalkInProgress(state).Start(root, root.path, root.deep);
  if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "the scan was stopped");
  return state.Take();
}

ScanWalk Scanner::Revisit(const Root& root, const std::string& folder) {
  ShardListCache none;
  ScanWalkState state(none, lister_, nullptr, {});
  WalkInProgress(state).Start(root, RepoFolderOf(folder).value_or(folder), /*deep=*/false);
  return state.Take();
}

ScanWalk Scanner::LookAt(const std::string& given_path) {
  const std::string path = Normalized({Root{.path = given_path}}).front().path;
  ShardListCache none;
  ScanWalkState state(none, lister_, nullptr, {});
  state.SetPointedAt();
  WalkInProgress walk(state);
  const auto store = OllamaStoreOf(path);
  const bool is_folder = os::OpenDirectory(path).ok();
  if (is_folder || !store || !os::OpenDirectory(*store + "/blobs").ok()) {
    is_folder ? walk.Start({.path = path}, path, /*deep=*/true) : walk.StartAtFile(path);
    return state.Take();
  }
  walk.Start({.path = *store}, *store, /*deep=*/false);
  ScanWalk all = state.Take();
  std::erase_if(all.sightings, [&](const Sighting& sighting) { return sighting.path != path; });
  return all;
}

}  // namespace warmset
