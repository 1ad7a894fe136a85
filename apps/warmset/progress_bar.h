#pragma once

#include <chrono>
#include <string>

#include "warmset/v1/session.pb.h"

namespace warmset::cli {

// One line: stage and item, a bar, how much is done, rate and remaining time,
// as far as `progress` tells them. Not wider than the columns: there the bar shrinks
// first, and how much is done of how much stays to the last.
// `advanced` of progress.done() took `elapsed`.
std::string RenderProgress(const v1::Progress& progress, uint64_t advanced,
                           std::chrono::nanoseconds elapsed, size_t columns);

// Draws one line on stderr over and over, and removes it in the end. Nothing
// at all where stderr is not a terminal.
class ProgressBar {
 public:
  ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

  void Update(const v1::Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  const bool on_terminal_;
  bool drawn_ = false;
  Clock::time_point last_drawn_;
  // Where the present stage began: rates are of one stage.
  std::string stage_;
  Clock::time_point stage_began_;
  uint64_t stage_done_ = 0;
};

}  // namespace warmset::cli
