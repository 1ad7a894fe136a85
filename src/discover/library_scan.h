// One scan of a library: what was walked, compared step by step with what is known.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/candidate_reader.h"
#include "discover/known_models.h"
#include "discover/library.h"
#include "discover/scanner.h"
#include "discover/silent_places.h"

namespace warmset {

// Used once, on one thread. New models are recorded and handed on in batches, and what
// the walk said of them is forgotten: a million fit in memory.
class LibraryScan {
 public:
  // All must outlive the scan.
  LibraryScan(Catalog& catalog, CandidateReader& reader, KnownModels& known,
              const SilentPlaces& silent, unsigned threads, std::chrono::milliseconds patience,
              const ScanEvents& events, std::stop_token stop)
      : catalog_(catalog),
        reader_(reader),
        known_(known),
        silent_(silent),
        threads_(threads),
        patience_(patience),
        events_(events),
        stop_(std::move(stop)) {}

  StatusOr<ScanReport> Run(const std::vector<Root>& roots, ScanWalk walk);

 private:
  using Known = KnownModels::Known;
  // Names the sightings and drops those that are as they were.
  void Sort(std::deque<Sighting> sightings);
  static bool IsUnchanged(const Sighting& sighting, std::string_view name, const Known& known);
  Status TakeCandidates();
  Status TakeBatch(CandidateReader::Batch batch);
  // Adds to the report and, for a new model, to `found`.
  void Conclude(const ScanCandidate& candidate, ScanOutcome outcome,
                std::vector<ModelSummary>& found);
  void FindRemoved();
  bool IsOutOfReach(const Known& known) const;
  void WriteChanges();
  void NoteCatalog(const Status& status);

  Catalog& catalog_;
  CandidateReader& reader_;
  KnownModels& known_;
  const SilentPlaces& silent_;
  const unsigned threads_;
  const std::chrono::milliseconds patience_;  // with one batch that stands still
  const ScanEvents& events_;
  const std::stop_token stop_;
  std::map<std::string, Root> roots_;
  std::set<std::string, std::less<>> unreadable_;
  std::deque<ScanCandidate> candidates_;
  std::unordered_set<ModelId> sighted_;
  std::unordered_set<ModelId> broken_;
  ScanReport report_;
  bool catalog_failed_ = false;
};

}  // namespace warmset
