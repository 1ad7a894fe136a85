#include "os/event_loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

namespace warmset::os {

StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoError(errno, "create an epoll instance");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoError(errno, "create an eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoError(errno, "watch an eventfd");
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

Status EventLoop::Watch(int fd, uint32_t epoll_events, Handler handler) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoError(errno, "watch a descriptor");
  }
  watched_[fd] = std::make_shared<Watched>(Watched{std::move(handler)});
  return OkStatus();
}

Status EventLoop::ChangeEvents(int fd, uint32_t epoll_events) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    return ErrnoError(errno, "change a watch");
  }
  return OkStatus();
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::RunAfter(std::chrono::nanoseconds delay, Task task) {
  const TimerId id = next_timer_++;
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(delay);
  deadlines_[id] = deadline;
  timers_.emplace(std::pair{deadline, id}, std::move(task));
  return id;
}

void EventLoop::Cancel(TimerId timer) {
  const auto found = deadlines_.find(timer);
  if (found == deadlines_.end()) return;
  timers_.erase({found->second, timer});
  deadlines_.erase(found);
}

void EventLoop::Post(Task task) {
  bool asleep = false;
  {
    absl::MutexLock lock(&mutex_);
    // The loop looks at what is posted before it sleeps, and was woken for the first.
    asleep = posted_.empty() && std::this_thread::get_id() != thread_;
    posted_.push_back(std::move(task));
  }
  if (asleep) Wake();
}

void EventLoop::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  Wake();
}

void EventLoop::Wake() {
  const uint64_t one = 1;
  // A full eventfd counter already wakes the loop.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

int EventLoop::MillisecondsToNextTimer() const {
  if (timers_.empty()) return -1;
  const auto left = timers_.begin()->first.first - Clock::now();
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 60'000));
}

void EventLoop::RunDueTimers() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    deadlines_.erase(node.key().second);
    node.mapped()();
  }
}

void EventLoop::RunPosted() {
  std::vector<Task> tasks;
  {
    absl::MutexLock lock(&mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

void EventLoop::Run() {
  std::array<epoll_event, 64> events;
  while (true) {
    int timeout_ms = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return;
      thread_ = std::this_thread::get_id();
      if (posted_.empty()) timeout_ms = MillisecondsToNextTimer();
    }
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   timeout_ms);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd == wake_.get()) {
        uint64_t ignored = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &ignored, sizeof ignored);
        continue;
      }
      // An earlier handler of this round may have ended this watch.
      const auto found = watched_.find(event.data.fd);
      if (found == watched_.end()) continue;
      const std::shared_ptr<Watched> keep = found->second;
      keep->handler(event.events);
    }
    RunDueTimers();
    RunPosted();
  }
}

}  // namespace warmset::os
