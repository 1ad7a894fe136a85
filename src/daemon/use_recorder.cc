#include "daemon/use_recorder.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"

namespace warmset {
namespace {

constexpr std::chrono::seconds kUseInterval{1};
constexpr std::chrono::seconds kHistoryInterval{5};

}  // namespace

UseRecorder::UseRecorder(os::EventLoop& loop, Catalog& catalog, ModelUse& uses,
                         ComponentCache& cache, Preloader& preloader, Notices& notices,
                         std::function<void()> on_recovered)
    : loop_(loop),
      catalog_(catalog),
      uses_(uses),
      cache_(cache),
      preloader_(preloader),
      notices_(notices),
      on_recovered_(std::move(on_recovered)) {}

void UseRecorder::Start() {
  uses_.SetCounted([this](const ModelId& model) { RecordSoon(model); });
  Tick();
}

void UseRecorder::Flush() {
  RecordUses();
  RecordHistory();
}

void UseRecorder::RecordSoon(const ModelId& model) {
  const auto known = recorded_.find(model);
  const auto since = known == recorded_.end() ? std::chrono::nanoseconds::max()
                                              : std::chrono::steady_clock::now() - known->second;
  // In any case when the answer is on its way.
  RecordAfter(since >= kUseInterval ? std::chrono::nanoseconds(0) : kUseInterval - since);
}

void UseRecorder::RecordAfter(std::chrono::nanoseconds delay) {
  const auto due = std::chrono::steady_clock::now() + delay;
  if (timer_ != 0 && due_ <= due) return;
  loop_.Cancel(timer_);
  due_ = due;
  timer_ = loop_.RunAfter(delay, [this] {
    timer_ = 0;
    RecordUses();
  });
}

void UseRecorder::RecordUses() {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [model, added] : uses_.TakeUses()) {
    recorded_[model] = now;
    NewUses& uses = unwritten_[model];
    uses.count += added.count;
    uses.last_unix_ms = std::max(uses.last_unix_ms, added.last_unix_ms);
  }
  if (unwritten_.empty()) return;
  if (catalog_.RecordModelUses(unwritten_).ok()) unwritten_.clear();
  LookAtCatalog();
}

void UseRecorder::RecordHistory() {
  HistoryRows changed;
  UseLedger::Changes changes = cache_.ledger().TakeChanges();
  changed.forgotten = std::move(changes.forgotten);
  for (const UseLedger::Line& line : changes.lines) {
    changed.components.push_back({.component = line.object.id,
                                  .bytes = line.object.bytes,
                                  .requests = line.history.requests,
                                  .last_request = line.history.last_request,
                                  .rates = line.history.rates,
                                  .interval = line.history.interval,
                                  .unwanted = line.unwanted});
  }
  if (changed.components.empty()) return;
  for (CompanionPredictor::Habit& habit : preloader_.companions().TakeChanged()) {
    changed.companions.push_back(
        {std::move(habit.user), habit.model, habit.uses, std::move(habit.together)});
  }
  for (const UsePredictor::Bin& bin : cache_.predictor().bins()) {
    changed.calibration.push_back({bin.predicted, bin.used});
  }
  (void)catalog_.RecordHistory(changed);  // a forecast: what is lost is learnt again
}

void UseRecorder::Tick() {
  RecordHistory();
  if (catalog_failed_) {
    (void)catalog_.TryWrite();
    if (!unwritten_.empty()) RecordAfter(std::chrono::nanoseconds(0));
  }
  LookAtCatalog();
  loop_.RunAfter(kHistoryInterval, [this] { Tick(); });
}

void UseRecorder::LookAtCatalog() {
  if (const std::string notice = catalog_.TakeNotice(); !notice.empty()) {
    notices_.Set("catalog", notice);
  }
  const Status failure = catalog_.WriteFailure();
  if (!failure.ok()) {
    notices_.Set("writing", fmt::format("models are served, but what changes is not remembered: {}",
                                        Message(failure)));
  } else if (catalog_failed_) {
    notices_.Clear("writing");
  }
  if (std::exchange(catalog_failed_, !failure.ok()) && failure.ok()) on_recovered_();
}

}  // namespace warmset
