#include "daemon/cache_settings.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "base/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

using Retention = EntryStore::Retention;

// From Retention::kLow on.
constexpr std::array<std::string_view, 3> kPriorityNames = {"low", "medium", "high"};
// Ten years: beyond it, times no longer add up.
constexpr uint64_t kMostKeepSeconds = uint64_t{10} * 366 * 24 * 3600;

Retention RetentionOfModel(const Model& model, int64_t now_unix_ms) {
  if (model.file_is_gone) return Retention::kGone;
  if (model.cache_settings->pinned || IsKept(model, now_unix_ms)) return Retention::kKept;
  const auto name =
      std::find(kPriorityNames.begin(), kPriorityNames.end(), model.cache_settings->priority);
  if (name == kPriorityNames.end()) return Retention::kMedium;
  return static_cast<Retention>(static_cast<int>(Retention::kLow) + (name - kPriorityNames.begin()));
}

int64_t KeptUntil(const Model& model) {
  return model.last_used_unix_ms + static_cast<int64_t>(model.cache_settings->keep_seconds) * 1000;
}

}  // namespace

CacheStrategy StrategyOf(const Model& model, CacheStrategy by_default) {
  return CacheStrategyFromName(model.cache_settings->strategy).value_or(by_default);
}

CacheStrategy StrategyOf(std::span<Model* const> users, CacheStrategy by_default) {
  if (users.empty()) return by_default;
  CacheStrategy most_raw = CacheStrategy::kMemory;
  for (const Model* user : users) most_raw = MoreRaw(most_raw, StrategyOf(*user, by_default));
  return most_raw;
}

bool IsKept(const Model& model, int64_t now_unix_ms) {
  return model.cache_settings->keep_seconds > 0 && now_unix_ms < KeptUntil(model);
}

bool IsKeptNoLonger(const Model& model, int64_t now_unix_ms) {
  return model.cache_settings->keep_seconds > 0 && !model.cache_settings->pinned &&
         now_unix_ms >= KeptUntil(model);
}

Retention RetentionOf(std::span<Model* const> users, int64_t now_unix_ms) {
  Retention highest = Retention::kGone;
  for (const Model* user : users) {
    highest = std::max(highest, RetentionOfModel(*user, now_unix_ms));
  }
  return users.empty() ? Retention::kMedium : highest;
}

StatusOr<CacheSettings> WithGiven(CacheSettings settings, const v1::CacheSettings& given) {
  const auto one_of = [](std::string_view what, const std::string& name, const auto& names) {
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) {
      return OkStatus();
    }
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("there is no {} '{}'; write {}", what, name, fmt::join(names, ", ")));
  };
  if (given.has_strategy()) {
    const auto known = CacheStrategyFromName(given.strategy());
    const std::string name(known ? CacheStrategyName(*known) : given.strategy());
    RETURN_IF_ERROR(one_of("strategy", name, kCacheStrategyNames));
    settings.strategy = name;
  }
  if (given.has_priority()) {
    RETURN_IF_ERROR(one_of("priority", given.priority(), kPriorityNames));
    settings.priority = given.priority();
  }
  if (given.has_pinned()) settings.pinned = given.pinned();
  if (given.has_keep_seconds()) {
    if (given.keep_seconds() > kMostKeepSeconds) {
      return Error(ErrorCode::kInvalidRequest, "a model can be kept for ten years at most; pin it");
    }
    settings.keep_seconds = given.keep_seconds();
  }
  return settings;
}

std::vector<v1::SettingChange> ChangesOf(const CacheSettings& before, const CacheSettings& after) {
  std::vector<v1::SettingChange> changes;
  const auto add = [&changes](std::string setting, std::string from, std::string to) {
    if (from == to) return;
    v1::SettingChange& change = changes.emplace_back();
    change.set_setting(std::move(setting));
    change.set_before(std::move(from));
    change.set_after(std::move(to));
  };
  const auto or_word = [](const std::string& text, std::string_view word) {
    return text.empty() ? std::string(word) : text;
  };
  const auto keep = [](uint64_t seconds) {
    return seconds == 0 ? "no" : FormatDuration(std::chrono::seconds(seconds));
  };
  add("strategy", or_word(before.strategy, "default"), or_word(after.strategy, "default"));
  add("priority", or_word(before.priority, "medium"), or_word(after.priority, "medium"));
  add("pin", before.pinned ? "yes" : "no", after.pinned ? "yes" : "no");
  add("keep", keep(before.keep_seconds), keep(after.keep_seconds));
  return changes;
}

v1::CacheSettings SettingsMessage(const CacheSettings& settings) {
  v1::CacheSettings message;
  if (!settings.strategy.empty()) message.set_strategy(settings.strategy);
  if (!settings.priority.empty()) message.set_priority(settings.priority);
  if (settings.pinned) message.set_pinned(true);
  if (settings.keep_seconds > 0) message.set_keep_seconds(settings.keep_seconds);
  return message;
}

}  // namespace warmset
