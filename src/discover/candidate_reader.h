// Reading what a scan has found new or changed.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/loose_threads.h"
#include "base/shared_text.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/inspection.h"
#include "discover/known_models.h"
#include "discover/model_summary.h"
#include "discover/silent_places.h"
#include "isolate/inspector.h"

namespace warmset {

// A sighting that differs from what is known.
struct ScanCandidate {
  Sighting sighting;
  std::string name;
};

// What became of one: a summary, or why there is none.
struct ScanOutcome {
  StatusOr<ModelSummary> summary = ModelSummary{};
  std::optional<ScanFinding> finding;  // what is wrong with it, if it could be read
  std::optional<InspectionRow> row;    // to be kept
  bool inspected = false;

  // Whether there is a model to be listed.
  bool is_model() const { return summary.ok() && summary->verdict != Verdict::kUnrecognized; }
};

// Reads on several threads at a time. One that does not come back from a model is left
// behind: the model's folder is silent until it does, and what lies below is not read.
class CandidateReader {
 public:
  using Batch = std::vector<ScanCandidate>;
  // Nothing for a model whose disk does not answer.
  using Outcomes = std::vector<std::optional<ScanOutcome>>;

  // All must outlive the threads.
  CandidateReader(Catalog& catalog, Inspector& inspector, TextPool& texts, KnownModels& known,
                  SilentPlaces& silent, LooseThreads& threads)
      : catalog_(catalog),
        inspector_(inspector),
        texts_(texts),
        known_(known),
        silent_(silent),
        threads_(threads) {}

  // In the order of the batch. kCancelled when stopped. The reader must outlive the threads,
  // too; the batch is shared with them.
  StatusOr<Outcomes> Read(std::shared_ptr<const Batch> batch, unsigned threads,
                          std::chrono::milliseconds patience, const std::stop_token& stop);

 private:
  struct Work;

  void StartThread(const std::shared_ptr<Work>& work);
  void ReadNext(Work& work);
  ScanOutcome Look(const ScanCandidate& candidate);
  ScanOutcome OutcomeOf(const ScanCandidate& candidate, StatusOr<Manifest> manifest);

  Catalog& catalog_;
  Inspector& inspector_;
  TextPool& texts_;
  KnownModels& known_;
  SilentPlaces& silent_;
  LooseThreads& threads_;
};

}  // namespace warmset
