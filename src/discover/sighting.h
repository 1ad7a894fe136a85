// What a scan sees, before anything is opened.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/shared_text.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/root_state.h"
#include "inspect/finding.h"
#include "inspect/inspect.h"
#include "inspect/manifest.h"

namespace warmset {

// A model as a scan sees it: where it is and which files it has.
struct Sighting {
  ModelId id;             // of the canonical place; of a hub repo's main, not of the commit
  RevisionId revision;    // of the files' names and identities, and of the findings
  std::string base_name;  // what it is called if nothing else is
  SharedText parent;      // folder whose last parts tell it from namesakes
  SharedText root;        // as configured
  std::string path;       // the weights file, the index of shards, or the folder
  SharedText folder;      // what the files' paths are relative to
  SharedText version;     // a hub's tag, Ollama's tag; empty: its place tells none
  SharedText commit;      // of a hub's snapshot
  // What a name found in one of its files must not lead out of: the repo of a hub
  // model, else the root. Textually a start of `folder`.
  SharedText boundary;
  // Without files: the model is known by its findings alone.
  ModelFiles model;
  // What the scan itself noticed, with paths relative to the folder; belongs to the
  // findings of its manifest.
  std::vector<Finding> findings;
};

// Adds the findings of the scan to what the inspection found; of a sighting without
// files that is nothing.
void AddFindings(const Sighting& sighting, Manifest& manifest);

// Something that a scan could not use, or that is odd.
struct ScanFinding {
  std::string path;  // absolute; empty: the scan itself
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};
// What a finding says about the place that was scanned; kOk for what is about no
// model (a folder that can't be read, a name that can't be shown).
Verdict VerdictOf(const ScanFinding& finding);

// The folders that were listed below each root.
using FoldersByRoot = std::map<std::string, std::vector<std::string>>;

struct ScanWalk {
  std::map<std::string, RootState> roots;  // as the walk began; without those left out
  std::deque<Sighting> sightings;          // one per id, in the order they were found
  FoldersByRoot folders;
  std::vector<std::string> unreadable;  // folders that exist and could not be listed
  std::vector<ScanFinding> findings;
  uint64_t files = 0;  // weights files seen
};

// Fills in the revision. Call when all else is there.
void SetRevision(Sighting& sighting);

}  // namespace warmset
