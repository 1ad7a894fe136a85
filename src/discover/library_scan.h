// One scan of a library: what was walked, compared step by step with what is known.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/shared_text.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/inspection.h"
#include "discover/known_models.h"
#include "discover/library.h"
#include "discover/scanner.h"

namespace warmset {

// Used once, on one thread. New models are recorded and handed on in batches, and what
// the walk said of them is forgotten: a million fit in memory.
class LibraryScan {
 public:
  // All must outlive the scan.
  LibraryScan(Catalog& catalog, Inspector& inspector, TextPool& texts, KnownModels& known,
              unsigned threads, const ScanEvents& events, std::stop_token stop)
      : catalog_(catalog),
        inspector_(inspector),
        texts_(texts),
        known_(known),
        threads_(threads),
        events_(events),
        stop_(std::move(stop)) {}

  StatusOr<ScanReport> Run(const std::vector<Root>& roots, ScanWalk walk);

 private:
  using Known = KnownModels::Known;
  // A sighting that differs from what is known.
  struct Candidate {
    Sighting sighting;
    std::string name;
  };
  // What became of one: a summary, or why there is none.
  struct Outcome {
    StatusOr<ModelSummary> summary = ModelSummary{};
    std::optional<ScanFinding> finding;  // what is wrong with it, if it could be read
    std::optional<InspectionRow> row;    // to be kept
    bool inspected = false;

    // Whether there is a model to be listed.
    bool is_model() const { return summary.ok() && summary->verdict != Verdict::kUnrecognized; }
  };

  // Names the sightings and drops those that are as they were.
  void Sort(std::deque<Sighting> sightings);
  static bool IsUnchanged(const Sighting& sighting, std::string_view name, const Known& known);
  Status TakeCandidates();
  Outcome Look(const Candidate& candidate);
  Outcome OutcomeOf(const Candidate& candidate, StatusOr<Manifest> manifest);
  void TakeBatch(std::span<Candidate> batch);
  // Adds to the report and, for a new model, to `found`.
  void Conclude(const Candidate& candidate, Outcome outcome, std::vector<ModelSummary>& found);
  void FindRemoved();
  bool IsOutOfReach(const Known& known) const;
  void WriteChanges();
  void NoteCatalog(const Status& status);

  Catalog& catalog_;
  Inspector& inspector_;
  TextPool& texts_;
  KnownModels& known_;
  const unsigned threads_;
  const ScanEvents& events_;
  const std::stop_token stop_;
  std::map<std::string, Root> roots_;
  std::set<std::string, std::less<>> unreadable_;
  std::deque<Candidate> candidates_;
  std::unordered_set<ModelId> sighted_;
  std::unordered_set<ModelId> broken_;
  ScanReport report_;
  bool catalog_failed_ = false;
};

}  // namespace warmset
