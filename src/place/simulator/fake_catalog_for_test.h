// A catalog whose writes take time and fail.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "place/command.h"
#include "place/event.h"
#include "place/simulator/random_for_test.h"
#include "place/simulator/timeline_for_test.h"

namespace warmset::place {

class FakeCatalog {
 public:
  using Report = std::function<void(const Event&)>;
  FakeCatalog(Random& random, Timeline& timeline, Report report)
      : random_(random), timeline_(timeline), report_(std::move(report)) {}

  bool bad = true;

  void Do(const Persist& persist) {
    const std::chrono::milliseconds takes(1 + random_.Below(50));
    timeline_.After(takes, [this, persist] {
      if (bad && random_.OneIn(5)) {
        return report_(Persisted{persist.sequence, Error(ErrorCode::kIoError, "disk full")});
      }
      for (const auto& [key, reason] : persist.rows) {
        if (reason) {
          rows_[key] = *reason;
        } else {
          rows_.erase(key);
        }
      }
      report_(Persisted{persist.sequence, OkStatus()});
    });
  }
  const std::map<DesireKey, Reason>& rows() const { return rows_; }

 private:
  Random& random_;
  Timeline& timeline_;
  const Report report_;
  std::map<DesireKey, Reason> rows_;
};

}  // namespace warmset::place
