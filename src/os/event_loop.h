// One thread's loop over descriptors, timers and posted functions (epoll).
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

// Everything runs on the thread that calls Run(); only Post() and Stop() may be
// called from others. Handlers may add and remove watches and timers, their own
// included. A handler must not block.
class EventLoop {
 public:
  using Handler = std::function<void(uint32_t epoll_events)>;
  using Task = std::function<void()>;
  using TimerId = uint64_t;

  static StatusOr<std::unique_ptr<EventLoop>> Create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls handler when fd has one of the events. The caller keeps the fd open
  // until Unwatch(). One watch per fd.
  Status Watch(int fd, uint32_t epoll_events, Handler handler);
  Status ChangeEvents(int fd, uint32_t epoll_events);
  void Unwatch(int fd);

  TimerId RunAfter(std::chrono::nanoseconds delay, Task task);
  void Cancel(TimerId timer);

  // Runs task on the loop's thread, after the current handler. Thread-safe.
  void Post(Task task);

  // Returns after Stop(), when the handlers of the last round have run.
  void Run();
  // Thread-safe; async-signal-safe it is not.
  void Stop();

 private:
  struct Watched {
    Handler handler;
  };
  using Clock = std::chrono::steady_clock;

  EventLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  int MillisecondsToNextTimer() const;
  void RunDueTimers();
  void RunPosted();
  void Wake();

  // Constant after construction.
  const UniqueFd epoll_;
  const UniqueFd wake_;

  // Only the loop's thread.
  std::unordered_map<int, std::shared_ptr<Watched>> watched_;
  std::map<std::pair<Clock::time_point, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Clock::time_point> deadlines_;
  TimerId next_timer_ = 1;

  absl::Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id thread_ ABSL_GUARDED_BY(mutex_);  // that runs the loop; none before
};

}  // namespace warmset::os
