// The payloads of a hub cache that its repos share.
//
//   <cache>/blobs/.huggingface-shared-blobs     the marker
//   <cache>/blobs/<2 digits>/<64 digits>        a payload, by its xet hash
//   <cache>/models--ORG--NAME/blobs/<etag>      a link to it
//   <cache>/models--ORG--NAME/snapshots/<commit>/FILE   a link to that
// Source: huggingface_hub 2.4 (since #4498), _shared_blobs.
#pragma once

#include <optional>
#include <string>

#include "discover/scan_walk_state.h"

namespace warmset {

// True for the folder that holds the payloads: no models are looked for in it.
bool IsSharedBlobStore(const Folder& folder);

// Where a link of a repo ends when it leads, by way of exactly one of the repo's
// blobs, to a payload of its own cache; without symlinks. Nothing for all other links.
// repo: its folder without symlinks.
std::optional<std::string> SharedBlobOf(const std::string& link, const std::string& repo);

// The marker of the store that a path lies in, if it has a payload's form.
std::optional<std::string> SharedBlobMarkerOf(const std::string& payload);

}  // namespace warmset
