// The Hugging Face hub's cache: models--ORG--NAME/{blobs,refs,snapshots}.
//
// A repo breaks its layout, and is corrupt, if it has no snapshots folder, a file
// inside of snapshots, a link that leads nowhere, a ref to a commit that is not
// there, or a file in place of refs. blobs/*.incomplete is an unfinished download;
// .no_exist/ (files that the hub does not have) and .locks/ are normal. trees/ says
// what a commit consists of (inspect/hub/tree.h); one that can't be read says nothing.
// Source: scan_cache_dir() of the huggingface_hub library.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "discover/scan_walk_state.h"

namespace warmset {

// A snapshot to be visited.
struct HubSnapshot {
  std::string path;
  Place place;
};

struct HubRepo {
  std::vector<HubSnapshot> snapshots;
  Place place;              // of the repo's main revision
  bool unfinished = false;  // a download is
  std::vector<std::string> unfinished_files;  // of a commit, as far as its tree tells
};

// True for a folder of the cache that holds a model repo, by its name and what it
// has; also for a broken one.
bool IsHubRepo(const Folder& folder);
// True for the cache's folders of datasets and the like, which hold no models.
bool IsOtherHubRepo(std::string_view folder_name);

// Checks the repo's layout; what is wrong becomes findings of the walk.
// REQUIRES: IsHubRepo(folder).
HubRepo ReadHubRepo(ScanWalkState& state, const Folder& folder, const Place& place);

// The place of a repo's files, as `place` of the folder around it is.
Place PlaceInRepo(const Place& place, const std::string& repo_path, const std::string& commit,
                  bool is_main);

// A repo without weights of which something is known: an unfinished download, or the
// hub's refusal.
void SightEmptyRepo(ScanWalkState& state, const Folder& folder, const HubRepo& repo);

}  // namespace warmset
