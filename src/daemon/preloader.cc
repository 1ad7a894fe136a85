#include "daemon/preloader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "cache/eviction/score_policies.h"
#include "daemon/cache_settings.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

constexpr std::chrono::seconds kFreeMemoryInterval{1};
// Speculation pays from here on: the use of one that was right outweighs the work for
// those that were not.
constexpr double kLeastProbability = 0.75;
constexpr int64_t kMinuteMs = 60'000;

double MonotonicSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool MayBePreloaded(const Model& model, int64_t now_unix_ms) {
  return model.summary.verdict == Verdict::kOk && !model.ad_hoc &&
         !IsKeptNoLonger(model, now_unix_ms);
}

}  // namespace

Preloader::Preloader(os::EventLoop& loop, ModelRegistry& registry, ComponentCache& cache,
                     ModelUse& uses, Options options)
    : loop_(loop),
      registry_(registry),
      cache_(cache),
      uses_(uses),
      options_(std::move(options)),
      checked_minute_(UnixMilliseconds() / kMinuteMs) {}

void Preloader::Start() {
  if (options_.popular) CheckFreeMemory();
  if (!options_.schedule.empty()) CheckSchedule();
}

void Preloader::Demanded(const ModelUse::Request& request) {
  unwanted_.erase(request.model);
  if (request.whole_files) return;  // entries of another kind, which nobody predicts
  used_parts_[request.model] = request.components;
  const auto companions =
      companions_.CompanionsOf(request.user, request.model, kLeastProbability);
  companions_.Count(request.user, request.model, MonotonicSeconds());
  if (!options_.companions) return;
  for (const CompanionPredictor::Companion& companion : companions) {
    const Model* model = registry_.Find(companion.model);
    if (model == nullptr || !MayBePreloaded(*model, UnixMilliseconds()) ||
        unwanted_.contains(companion.model) || IsInRam(model->summary, {})) {
      continue;
    }
    Preload(companion.model, {}, PreloadReason::kCompanion);
  }
}

std::vector<std::string> Preloader::Usual(const ModelId& model) const {
  const auto used = used_parts_.find(model);
  return used == used_parts_.end() ? std::vector<std::string>() : used->second;
}

bool Preloader::IsInRam(const ModelSummary& model,
                        const std::vector<std::string>& components) const {
  const std::vector<std::string> names = components.empty() ? Usual(model.id) : components;
  return std::all_of(
      model.components.begin(), model.components.end(), [&](const ComponentSummary& component) {
        const bool wanted =
            names.empty() ? !IsVariant(model, component)
                          : std::find(names.begin(), names.end(), component.name) != names.end();
        return !wanted || cache_.Has(component.id);
      });
}

void Preloader::Preload(const ModelId& model, std::vector<std::string> components,
                        PreloadReason reason) {
  if (components.empty()) components = Usual(model);
  const bool known = std::any_of(queue_.begin(), queue_.end(), [&](const Item& item) {
    return item.model == model && item.components == components;
  });
  if (known) return;
  queue_.push_back({model, std::move(components), reason});
  Next();
}

void Preloader::Next() {
  if (running_ || queue_.empty()) return;
  running_ = true;
  Item item = std::move(queue_.front());
  queue_.pop_front();
  ModelUse::Request request{.model = item.model,
                            .components = std::move(item.components),
                            .may_evict = IsAskedFor(item.reason),
                            .preload = item.reason};
  uses_.Use(std::move(request), [this, id = item.model](const StatusOr<ModelUse::Result>& used) {
    running_ = false;
    if (!used.ok()) {
      spdlog::warn("not preloaded: {}", Message(used.status()));
      if (CodeOf(used.status()) != ErrorCode::kRamLimitExceeded) Unwanted(id);
    }
    Next();
  });
}

void Preloader::CheckSchedule() {
  const int64_t now_ms = UnixMilliseconds();
  const int64_t minute = now_ms / kMinuteMs;
  for (const std::string& name : DueModels(options_.schedule, checked_minute_, minute)) {
    const auto model = registry_.Find(name);
    if (!model.ok()) {
      spdlog::warn("not preloaded as scheduled: {}", Message(model.status()));
      continue;
    }
    Preload((*model)->summary.id, {}, PreloadReason::kSchedule);
  }
  checked_minute_ = std::max(checked_minute_, minute);
  loop_.RunAfter(std::chrono::milliseconds((minute + 1) * kMinuteMs - now_ms),
                 [this] { CheckSchedule(); });
}

void Preloader::CheckFreeMemory() {
  if (waiting() == 0 && cache_.idle()) PreloadPopular();
  loop_.RunAfter(kFreeMemoryInterval, [this] { CheckFreeMemory(); });
}

void Preloader::PreloadPopular() {
  const int64_t now = UnixMilliseconds();
  const uint64_t free = cache_.MemoryUse().free().value();
  const Model* best = nullptr;
  ComponentId component;
  double most = 0;
  for (const auto& [id, line] : cache_.ledger().lines()) {
    if (line.object.bytes > free || cache_.Has(id)) continue;
    const double probability =
        cache_.predictor().Probability(line.history, cache_.ledger().now());
    const double worth = probability * CostPerByte(line.object);
    if (probability < kLeastProbability || worth <= most) continue;
    const auto& users = registry_.UsersOf(id);
    const auto user = std::find_if(users.begin(), users.end(), [&](const Model* model) {
      return MayBePreloaded(*model, now) && !unwanted_.contains(model->summary.id);
    });
    if (user == users.end()) continue;
    best = *user;
    component = id;
    most = worth;
  }
  if (best == nullptr) return;
  for (const ComponentSummary& candidate : best->summary.components) {
    if (candidate.id == component) {
      return Preload(best->summary.id, {candidate.name}, PreloadReason::kPopular);
    }
  }
}

}  // namespace warmset
