#include "discover/probe_place.h"

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/signs_of_life.h"
#include "discover/root_state.h"

namespace warmset {
namespace {

// What both threads have.
struct Probe {
  SignsOfLife life;
  absl::Mutex mutex;
  bool came_back ABSL_GUARDED_BY(mutex) = false;
  bool is_silent ABSL_GUARDED_BY(mutex) = false;
};

}  // namespace

bool Answers(const std::string& folder, SilentPlaces& silent, LooseThreads& threads,
             std::chrono::milliseconds patience, const std::stop_token& stop) {
  if (silent.Contain(folder)) return false;
  const auto probe = std::make_shared<Probe>();
  threads.Start([probe, folder, &silent](std::stop_token) {
    (void)LookAtRoot(folder);
    bool was_silent = false;
    {
      absl::MutexLock lock(&probe->mutex);
      probe->came_back = true;
      was_silent = probe->is_silent;
    }
    if (was_silent) silent.Remove(folder);
    probe->life.End();
  });
  const Status waited = probe->life.Wait(patience, stop);
  absl::MutexLock lock(&probe->mutex);
  if (probe->came_back) return true;
  if (CodeOf(waited) == ErrorCode::kTimeout) {
    probe->is_silent = true;
    silent.Add(folder);
  }
  return false;
}

}  // namespace warmset
