// One use of a model on its way; for model_use*.cc alone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/model_use.h"

namespace warmset {

// Between looks for uses that stand still.
inline constexpr std::chrono::seconds kStandstillLooks{1};

// The use of one revision: what a thread reads while the loop may have gone on without it.
struct ModelUse::Attempt {
  std::shared_ptr<const ModelSummary> summary;
  bool verify = false;
  bool files_are_local = false;
  bool admitted = false;
  bool refuted = false;  // a file is known not to be what its name claims
  std::vector<uint32_t> selected{};
  std::vector<uint32_t> missing{};  // of selected, not in RAM

  // How far the thread is.
  mutable std::atomic<bool> looked = false;  // at the files
  mutable std::atomic<uint64_t> verified_bytes = 0;

  mutable bool late = false;  // the look takes long; the loop's alone

  // The disk that its files are on.
  uint64_t disk() const { return summary->files.empty() ? 0 : summary->files[0].identity.device; }
};

struct ModelUse::Operation {
  // A component that is asked for.
  struct Part {
    uint32_t index = 0;  // as Component::index
    ComponentId id;
    uint64_t bytes = 0;
    ComponentCache::WaitId wait = 0;
    bool arrived = false;
  };

  UseId id = 0;
  Request request;  // constant
  Done done;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  bool inspected_again = false;
  bool finished = false;

  std::shared_ptr<const Attempt> attempt;
  bool preparing = false;  // what Prepare() finds is waited for
  os::EventLoop::TimerId late_timer = 0;

  Result result;
  std::vector<Part> parts;
  size_t pending = 0;  // of parts
  Status first_error;

  uint64_t done_bytes = 0;  // as last reported: it never falls
  uint64_t steps = 0;       // stages that were passed
  uint64_t seen_steps = 0;  // all steps, by the last look
  std::chrono::steady_clock::time_point moved = std::chrono::steady_clock::now();
};

}  // namespace warmset
