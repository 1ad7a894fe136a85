#include "discover/candidate_reader.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/signs_of_life.h"

namespace warmset {

// What all threads of a batch have; it lives as long as the slowest one.
struct CandidateReader::Work {
  enum class State { kWaiting, kReading, kDone, kLeft };

  std::shared_ptr<const Batch> batch;
  SignsOfLife life;

  absl::Mutex mutex;
  size_t next ABSL_GUARDED_BY(mutex) = 0;
  size_t open ABSL_GUARDED_BY(mutex) = 0;  // waiting or being read
  std::vector<State> states ABSL_GUARDED_BY(mutex);
  Outcomes outcomes ABSL_GUARDED_BY(mutex);
  bool over ABSL_GUARDED_BY(mutex) = false;
};

StatusOr<CandidateReader::Outcomes> CandidateReader::Read(std::shared_ptr<const Batch> batch,
                                                          unsigned threads,
                                                          std::chrono::milliseconds patience,
                                                          const std::stop_token& stop) {
  if (batch->empty()) return Outcomes();
  const auto work = std::make_shared<Work>();
  work->batch = std::move(batch);
  {
    absl::MutexLock lock(&work->mutex);
    work->open = work->batch->size();
    work->states.resize(work->open);
    work->outcomes.resize(work->open);
  }
  const size_t at_once = std::min<size_t>(threads, work->batch->size());
  for (size_t i = 0; i < at_once; ++i) StartThread(work);
  while (true) {
    const Status waited = work->life.Wait(patience, stop);
    absl::MutexLock lock(&work->mutex);
    if (CodeOf(waited) == ErrorCode::kCancelled) {
      work->over = true;
      return Error(ErrorCode::kCancelled, "the scan was stopped");
    }
    size_t left = 0;
    for (size_t i = 0; work->open > 0 && i < work->states.size(); ++i) {
      if (work->states[i] != Work::State::kReading) continue;
      work->states[i] = Work::State::kLeft;
      --work->open;
      ++left;
      // Within the lock, so that the thread's Remove() comes after it.
      silent_.Add((*work->batch)[i].sighting.folder);
    }
    if (work->open == 0) {
      work->over = true;
      return std::move(work->outcomes);
    }
    for (; left > 0; --left) StartThread(work);
  }
}

void CandidateReader::StartThread(const std::shared_ptr<Work>& work) {
  threads_.Start([this, work](const std::stop_token&) { ReadNext(*work); });
}

void CandidateReader::ReadNext(Work& work) {
  while (true) {
    size_t i = 0;
    {
      absl::MutexLock lock(&work.mutex);
      if (work.over || work.next == work.states.size()) return;
      i = work.next++;
      work.states[i] = Work::State::kReading;
    }
    const std::string& folder = (*work.batch)[i].sighting.folder;
    std::optional<ScanOutcome> outcome;
    if (!silent_.Contain(folder)) outcome = Look((*work.batch)[i]);
    work.life.Step();
    absl::MutexLock lock(&work.mutex);
    if (work.states[i] == Work::State::kLeft) {
      silent_.Remove(folder);
      return;  // another thread has taken this one's place
    }
    work.states[i] = Work::State::kDone;
    if (!work.over) work.outcomes[i] = std::move(outcome);
    if (--work.open == 0) work.life.End();
  }
}

ScanOutcome CandidateReader::Look(const ScanCandidate& candidate) {
  // What was missing may have come without a change of what the scan sees.
  const auto known = known_.Find(candidate.sighting.id);
  const bool may_have_come = known && known->verdict == Verdict::kIncomplete;
  if (!may_have_come) {
    if (const auto row = RecallInspection(catalog_, candidate.sighting.revision)) {
      auto manifest = ManifestIn(*row);
      // A manifest of another version is as good as none.
      if (CodeOf(manifest.status()) != ErrorCode::kVersionMismatch) {
        return OutcomeOf(candidate, std::move(manifest));
      }
    }
  }
  Inspection inspection = InspectSighting(inspector_, candidate.sighting);
  ScanOutcome outcome = OutcomeOf(candidate, std::move(inspection.manifest));
  outcome.inspected = true;
  if (inspection.lasting) outcome.row = std::move(inspection.row);
  return outcome;
}

ScanOutcome CandidateReader::OutcomeOf(const ScanCandidate& candidate,
                                       StatusOr<Manifest> manifest) {
  ScanOutcome outcome;
  if (!manifest.ok()) {
    outcome.summary = manifest.status();
    return outcome;
  }
  outcome.summary = SummaryOf(candidate.sighting, candidate.name, *manifest, texts_);
  if (outcome.summary->verdict != Verdict::kOk) {
    outcome.finding = WorstOf(candidate.sighting, manifest->findings);
  }
  return outcome;
}

}  // namespace warmset
