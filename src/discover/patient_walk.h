// A walk that a disk which does not answer can't hold up.
#pragma once

#include <chrono>
#include <stop_token>
#include <vector>

#include "base/loose_threads.h"
#include "base/status.h"
#include "discover/scanner.h"
#include "discover/silent_places.h"
#include "inspect/shard_index.h"

namespace warmset {

// Walks as Scanner does, on a thread of its own. Where that does not come back:
//  1. the folder that it is at becomes silent, and the thread is left behind with all it has;
//  2. another thread begins the walk anew and leaves out what is silent, as it would leave
//     out a folder that can't be read;
//  3. when the first thread comes back, the folder is silent no more and its walk is dropped.
// A walk that is left behind so often that a root seems to hang in many folders makes
// the whole root silent. All that is given must outlive the threads. One walk at a time.
class PatientWalk {
 public:
  PatientWalk(ShardLister& lister, SilentPlaces& silent, LooseThreads& threads,
              std::chrono::milliseconds patience)
      : lister_(lister), silent_(silent), threads_(threads), patience_(patience) {}

  // See Scanner::Walk(). progress is called on another thread, and no more when it returns.
  StatusOr<ScanWalk> Walk(const std::vector<Root>& roots, ShardListCache& lists,
                          const Scanner::Progress& progress, const std::stop_token& stop);

 private:
  struct Attempt;

  Status Await(Attempt& attempt, const std::stop_token& stop) const;
  void Leave(Attempt& attempt, const std::vector<Root>& roots, int attempts);

  ShardLister& lister_;
  SilentPlaces& silent_;
  LooseThreads& threads_;
  const std::chrono::milliseconds patience_;
};

}  // namespace warmset
