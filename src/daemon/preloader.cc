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

// ".fp16" of "unet.fp16" beside "unet"; nothing of what is no variant.
std::string VariantOf(const ModelSummary& model, const ComponentSummary& component) {
  const std::string& name = component.name;
  return IsVariant(model, component) ? name.substr(name.find('.')) : "";
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
  if (request.whole_files) return;  // entries of another kind, which nobody predicts
  const double now = MonotonicSeconds();
  const Model* const demanded = registry_.Find(request.model);
  if (demanded != nullptr && MayBePreloaded(*demanded, UnixMilliseconds())) {
    std::vector<std::string> rest = RestOf(*demanded, request);
    if (!rest.empty()) Preload(request.model, std::move(rest), PreloadReason::kPipeline);
  }
  UsedParts& parts = used_parts_[request.model];
  if (now > parts.seconds + CompanionPredictor::kWindowSeconds) {
    parts.names = {request.components.begin(), request.components.end()};
  } else if (request.components.empty()) {
    parts.names.clear();
  } else if (!parts.names.empty()) {  // one after another
    parts.names.insert(request.components.begin(), request.components.end());
  }
  parts.seconds = now;
  const auto companions =
      companions_.CompanionsOf(request.user, request.model, kLeastProbability);
  companions_.Count(request.user, request.model, now);
  if (!options_.companions) return;
  for (const CompanionPredictor::Companion& companion : companions) {
    const Model* model = registry_.Find(companion.model);
    if (model == nullptr || !MayBePreloaded(*model, UnixMilliseconds()) ||
        !MayBeCompanion(*model)) {
      continue;
    }
    Preload(companion.model, {}, PreloadReason::kCompanion);
  }
}

std::vector<std::string> Preloader::RestOf(const Model& model,
                                           const ModelUse::Request& request) const {
  std::vector<std::string> rest;
  const std::set<std::string> asked(request.components.begin(), request.components.end());
  if (request.passed_file == nullptr || asked.empty()) return rest;
  const auto used = used_parts_.find(model.summary.id);
  const auto& lines = cache_.ledger().lines();
  bool has_habit = used != used_parts_.end();
  std::set<std::string> variants;  // ".fp16", or nothing
  for (const ComponentSummary& component : model.summary.components) {
    if (!asked.contains(component.name)) continue;
    const auto line = lines.find(component.id);
    has_habit |= line != lines.end() && line->second.history.requests > 1;
    variants.insert(VariantOf(model.summary, component));
  }
  const auto is_usual = [&](const ComponentSummary& component) {
    if (!has_habit) return variants.contains(VariantOf(model.summary, component));
    if (used == used_parts_.end()) return lines.contains(component.id);
    return used->second.names.empty() || used->second.names.contains(component.name);
  };
  std::vector<const ComponentSummary*> usual;
  bool wanted = false;
  for (const ComponentSummary& component : model.summary.components) {
    if (asked.contains(component.name) || !is_usual(component)) continue;
    usual.push_back(&component);
    wanted |= !cache_.ledger().IsUnwanted(component.id);
  }
  const BudgetUse use = cache_.MemoryUse();
  uint64_t room = (use.free() + use.reserve).value();
  for (const ComponentSummary* const component : usual) {
    // The whole model was taken out of RAM: the first file asks for it again.
    const bool unwanted = wanted && cache_.ledger().IsUnwanted(component->id);
    if (unwanted || cache_.HasOrExpects(component->id) || component->entry_bytes > room) continue;
    room -= component->entry_bytes;
    rest.push_back(component->name);
  }
  return rest;
}

// By name; else those that were used last, or ever; else all but variants.
std::vector<const ComponentSummary*> Preloader::Wanted(
    const ModelSummary& model, const std::vector<std::string>& names) const {
  const auto choose = [&](auto wanted) {
    std::vector<const ComponentSummary*> chosen;
    for (const ComponentSummary& component : model.components) {
      if (wanted(component)) chosen.push_back(&component);
    }
    return chosen;
  };
  if (!names.empty()) {
    return choose([&](const ComponentSummary& component) {
      return std::find(names.begin(), names.end(), component.name) != names.end();
    });
  }
  const auto used = used_parts_.find(model.id);
  const auto known = used != used_parts_.end()
                         ? choose([&](const ComponentSummary& component) {
                             return used->second.names.contains(component.name);
                           })
                         : choose([&](const ComponentSummary& component) {
                             return cache_.ledger().lines().contains(component.id);
                           });
  if (!known.empty()) return known;
  return choose([&](const ComponentSummary& component) { return !IsVariant(model, component); });
}

bool Preloader::MayBeCompanion(const Model& model) const {
  uint64_t missing = 0;
  for (const ComponentSummary* component : Wanted(model.summary, {})) {
    if (cache_.ledger().IsUnwanted(component->id)) return false;
    if (!cache_.HasOrExpects(component->id)) missing += component->entry_bytes;
  }
  return missing > 0 && missing <= cache_.MemoryUse().free().value();
}

bool Preloader::IsInRam(const ModelSummary& model, const std::vector<std::string>& names) const {
  const auto wanted = Wanted(model, names);
  return std::all_of(wanted.begin(), wanted.end(), [&](const ComponentSummary* component) {
    return cache_.Has(component->id);
  });
}

void Preloader::Unwanted(const ModelId& model, const ComponentId& component) {
  cache_.ledger().SetUnwanted(component);
  std::erase_if(queue_, [&](const Item& item) {
    return item.model == model && !IsAskedFor(item.reason);
  });
}

void Preloader::Preload(const ModelId& id, std::vector<std::string> components,
                        PreloadReason reason) {
  const Model* const model = registry_.Find(id);
  if (model == nullptr) return;
  if (components.empty()) {
    for (const auto* component : Wanted(model->summary, {})) components.push_back(component->name);
  }
  const auto known = std::find_if(queue_.begin(), queue_.end(), [&](const Item& item) {
    return item.model == id && item.components == components;
  });
  if (known == queue_.end()) {
    // The rest of a pipeline is asked for within the second.
    const auto place = reason == PreloadReason::kPipeline ? queue_.begin() : queue_.end();
    queue_.insert(place, {id, std::move(components), reason});
  } else if (IsAskedFor(reason)) {
    known->reason = reason;
  }
  Next();
}

void Preloader::Next() {
  if (running_ || queue_.empty()) return;
  running_ = true;
  const Item item = std::move(queue_.front());
  queue_.pop_front();
  ModelUse::Request request{.model = item.model,
                            .components = item.components,
                            .may_evict = IsAskedFor(item.reason),
                            .preload = item.reason};
  uses_.Use(std::move(request), [this, item](const StatusOr<ModelUse::Result>& used) {
    running_ = false;
    if (!used.ok()) Failed(item, used.status());
    Next();
  });
}

void Preloader::Failed(const Item& item, const Status& why) {
  const bool no_room = CodeOf(why) == ErrorCode::kRamLimitExceeded;
  spdlog::log(no_room && !IsAskedFor(item.reason) ? spdlog::level::debug : spdlog::level::warn,
              "not preloaded: {}", Message(why));
  const Model* const model = registry_.Find(item.model);
  if (no_room || model == nullptr) return;
  // Not again and again: only when somebody asks for it.
  for (const auto* component : Wanted(model->summary, item.components)) {
    cache_.ledger().SetUnwanted(component->id);
  }
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
  checked_minute_ = minute;  // also when the clock was set back
  loop_.RunAfter(std::chrono::milliseconds((minute + 1) * kMinuteMs - now_ms),
                 [this] { CheckSchedule(); });
}

void Preloader::CheckFreeMemory() {
  // What was in RAM before a restart comes first, and what somebody waits for.
  if (waiting() == 0 && uses_.idle() && cache_.idle()) PreloadPopular();
  loop_.RunAfter(kFreeMemoryInterval, [this] { CheckFreeMemory(); });
}

void Preloader::PreloadPopular() {
  const int64_t now = UnixMilliseconds();
  const uint64_t free = cache_.MemoryUse().free().value();
  const Model* best = nullptr;
  ComponentId component;
  double most = 0;
  for (const auto& [id, line] : cache_.ledger().lines()) {
    if (line.object.bytes > free || line.unwanted || cache_.HasOrExpects(id)) continue;
    const double probability =
        cache_.predictor().Probability(line.history, cache_.ledger().now());
    const double worth = probability * CostPerByte(line.object);
    if (probability < kLeastProbability || worth <= most) continue;
    const auto users = registry_.UsersOf(id);
    const auto user = std::find_if(users.begin(), users.end(), [&](const Model* model) {
      return MayBePreloaded(*model, now);
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
