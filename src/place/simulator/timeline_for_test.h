// Virtual time: what happens when.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "place/desire.h"

namespace warmset::place {

class Timeline {
 public:
  using Task = std::function<void()>;

  Time now() const { return now_; }
  void After(std::chrono::milliseconds delay, Task task) {
    tasks_.emplace(now_ + delay, std::move(task));
  }
  std::optional<Time> Next() const {
    return tasks_.empty() ? std::nullopt : std::optional(tasks_.begin()->first);
  }
  // Goes to that time without running what is due. REQUIRES: it is not in the past.
  void GoTo(Time time) { now_ = time; }
  // REQUIRES: there is one.
  void RunNext() {
    auto next = tasks_.extract(tasks_.begin());
    if (next.key() > now_) now_ = next.key();
    next.mapped()();
  }
  void Clear() { tasks_.clear(); }

 private:
  Time now_{std::chrono::seconds(1)};
  std::multimap<Time, Task> tasks_;
};

}  // namespace warmset::place
