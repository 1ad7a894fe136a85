// The helpers that read models, and the rule that none of them is believed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "isolate/border.h"
#include "isolate/helper_process.h"
#include "isolate/inspector.h"
#include "isolate/serve.h"

namespace warmset {

struct InspectorPoolOptions {
  unsigned helpers = 2;                         // at most, and as many calls at the same time
  std::string program{};                        // empty: warmset-inspect beside this program
  std::chrono::milliseconds time_limit{8'000};  // of one request
  uint64_t memory_limit = kHelperMemoryBytes;   // address space of one helper
  // Called on any thread when a helper ended that should not have: how and over what, and
  // how many have so far. May be empty.
  std::function<void(const std::string& how, uint64_t ends)> on_end{};
};

// A helper that dies, runs out of memory or takes too long becomes a manifest with
// a finding that says so, and another helper takes its place: what a file does to
// its reader is a property of the file, not an error. Thread-safe; calls block
// while every helper is busy. Helpers start when they are needed.
class InspectorPool final : public Inspector {
 public:
  explicit InspectorPool(InspectorPoolOptions options = {});
  // Ends the helpers. REQUIRES: no call is in progress.
  ~InspectorPool() override;

  // Besides the errors of Inspector: kInternal when no helper can be started.
  StatusOr<Inspected> Inspect(const ModelFiles& model, FileProvider& files) override;
  // Besides, when its reader ended without an answer: kUnsupportedFormat for a limit of
  // memory or time, kCorruptedModel otherwise.
  StatusOr<std::vector<std::string>> ShardsOf(int index_fd) override;
  // Likewise.
  StatusOr<HubTree> TreeOf(int tree_fd) override;

  // The helpers that wait for work, for tests.
  std::vector<pid_t> IdleHelpers();

 private:
  using Helper = std::unique_ptr<HelperProcess>;

  // Has a helper answer one request. accept() takes the answer; kCorruptedModel
  // from it is a lie, and the end of the helper. Nothing when there was an answer,
  // how the helper ended when there was none. An error that a helper reports, or
  // another one of accept(), is returned.
  using Accept = std::function<Status(border::Frame& answer)>;
  StatusOr<std::optional<HelperEnd>> Ask(border::FrameType type, std::string_view payload, int fd,
                                         const HelperProcess::OpenFile& open, const Accept& accept);

  // Reports the end of a helper; `over` is what it read, empty when it waited for work.
  void NoteEnd(const HelperEnd& end, const std::string& over);
  void CountOpening(int change);
  // Has a helper read one file that names others; what() calls it.
  Status ReadList(border::FrameType type, int fd, const Accept& accept, std::string_view what);

  StatusOr<Helper> Borrow();
  StatusOr<Helper> Start();
  // Takes a helper back, or its place when it is nullptr.
  void Return(Helper helper);

  const InspectorPoolOptions options_;
  std::atomic<uint64_t> ends_ = 0;

  absl::Mutex mutex_;
  std::vector<Helper> idle_ ABSL_GUARDED_BY(mutex_);
  unsigned busy_ ABSL_GUARDED_BY(mutex_) = 0;
  unsigned opening_ ABSL_GUARDED_BY(mutex_) = 0;  // of busy_: while a file is opened for them

  // A helper ends with the thread that started it, so that none outlives this
  // process whatever has become of it; callers' threads come and go.
  ThreadPool starter_{1};
};

}  // namespace warmset
