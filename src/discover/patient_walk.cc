#include "discover/patient_walk.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/signs_of_life.h"

namespace warmset {
namespace {

// Then it is more than a folder that hangs.
constexpr int kMostAttempts = 4;

// The root that has a place.
std::string RootOf(const std::vector<Root>& roots, const std::string& place) {
  const Root* best = nullptr;
  for (const Root& root : roots) {
    const bool has = place == root.path || place.starts_with(root.path + "/");
    if (has && (best == nullptr || root.path.size() > best->path.size())) best = &root;
  }
  return best == nullptr ? place : best->path;
}

}  // namespace

// What both threads have; it lives as long as the slower one.
struct PatientWalk::Attempt {
  SignsOfLife life;
  std::stop_source stop;
  ShardListCache lists;  // the walker's

  absl::Mutex mutex;
  std::string folder ABSL_GUARDED_BY(mutex);          // that the walker is at; empty: at none yet
  Scanner::Progress progress ABSL_GUARDED_BY(mutex);  // empty when it was left behind
  bool left ABSL_GUARDED_BY(mutex) = false;
  std::string silent ABSL_GUARDED_BY(mutex);  // what it was left at
  std::optional<StatusOr<ScanWalk>> walk ABSL_GUARDED_BY(mutex);
};

StatusOr<ScanWalk> PatientWalk::Walk(const std::vector<Root>& roots, ShardListCache& lists,
                                     const Scanner::Progress& progress,
                                     const std::stop_token& stop) {
  for (int attempts = 1;; ++attempts) {
    const auto attempt = std::make_shared<Attempt>();
    attempt->lists = lists;
    {
      absl::MutexLock lock(&attempt->mutex);
      attempt->progress = progress;
    }
    threads_.Start([&lister = lister_, &known_silent = silent_, attempt,
                    roots](const std::stop_token& ending) {
      const std::stop_callback on_end(ending, [&] { attempt->stop.request_stop(); });
      Scanner scanner(attempt->lists, lister);
      scanner.SetPace({.enter =
                           [&](const std::string& folder) {
                             attempt->life.Step();
                             if (known_silent.Contain(folder)) return false;
                             absl::MutexLock lock(&attempt->mutex);
                             attempt->folder = folder;
                             return true;
                           },
                       .step = [&] { attempt->life.Step(); }});
      auto walk = scanner.Walk(
          roots,
          [&](uint64_t files, const std::string& folder) {
            absl::MutexLock lock(&attempt->mutex);
            if (attempt->progress) attempt->progress(files, folder);
          },
          attempt->stop.get_token());
      std::string silent;
      {
        absl::MutexLock lock(&attempt->mutex);
        silent = attempt->silent;
        if (!attempt->left) attempt->walk = std::move(walk);
      }
      if (!silent.empty()) known_silent.Remove(silent);
      attempt->life.End();
    });
    const Status waited = Await(*attempt, stop);
    Leave(*attempt, CodeOf(waited) == ErrorCode::kTimeout ? roots : std::vector<Root>(), attempts);
    attempt->stop.request_stop();
    absl::MutexLock lock(&attempt->mutex);
    if (attempt->walk) {
      lists = std::move(attempt->lists);
      return *std::move(attempt->walk);
    }
    if (CodeOf(waited) == ErrorCode::kCancelled) {
      return Error(ErrorCode::kCancelled, "the scan was stopped");
    }
  }
}

Status PatientWalk::Await(Attempt& attempt, const std::stop_token& stop) const {
  while (true) {
    Status waited = attempt.life.Wait(patience_, stop);
    if (CodeOf(waited) != ErrorCode::kTimeout) return waited;
    absl::MutexLock lock(&attempt.mutex);
    if (!attempt.folder.empty()) return waited;  // else the machine is slow, not a disk
  }
}

// Where roots are given, the folder becomes silent.
void PatientWalk::Leave(Attempt& attempt, const std::vector<Root>& roots, int attempts) {
  absl::MutexLock lock(&attempt.mutex);
  attempt.progress = nullptr;
  if (attempt.walk) return;
  attempt.left = true;
  if (roots.empty()) return;
  attempt.silent = attempts < kMostAttempts ? attempt.folder : RootOf(roots, attempt.folder);
  // Within the lock, so that the walker's Remove() comes after it.
  silent_.Add(attempt.silent);
}

}  // namespace warmset
