#include "daemon/model_registry.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <iterator>
#include <utility>

#include "discover/name_search.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMinIdDigits = 4;
constexpr size_t kMaxCandidates = 10;

// What may be the beginning of an id, in lower case; else nothing.
std::string DigitsOf(std::string_view text) {
  const bool hex =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
  if (!hex || text.size() < kMinIdDigits) return {};
  std::string digits(text);
  std::transform(digits.begin(), digits.end(), digits.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return digits;
}

void ApplyOverride(Model& model, const ModelOverride& override_by_user) {
  const ModelOverride identified =
      model.override_by_user->empty()
          ? ModelOverride{model.summary.model_kind, model.summary.architecture}
          : *model.identified;
  const auto choose = [](const std::string& user, const std::string& files) {
    return user.empty() ? files : user;
  };
  model.summary.model_kind = choose(override_by_user.kind, identified.kind);
  model.summary.architecture = choose(override_by_user.architecture, identified.architecture);
  model.override_by_user = override_by_user;
  model.identified = override_by_user.empty() ? ModelOverride{} : identified;
}

}  // namespace

StatusOr<Model*> ModelRegistry::Find(std::string_view text) {
  const bool printable = std::none_of(text.begin(), text.end(),
                                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (text.empty() || text.size() > kMaxNameBytes || !printable) {
    return Error(ErrorCode::kInvalidName,
                 fmt::format("a model's name has 1 to {} printable characters; `warmset list` "
                             "shows them",
                             kMaxNameBytes));
  }
  const std::vector<Model*> matching = Matching(text);
  if (matching.size() == 1) return matching.front();
  if (matching.empty()) {
    return WithCandidates(
        Error(ErrorCode::kModelNotFound,
              fmt::format("no model is named '{}'; `warmset list` shows what there is, `warmset "
                          "scan` looks for new files",
                          text)),
        Similar(text));
  }
  std::vector<std::string> names;
  for (const Model* model : matching) names.push_back(model->summary.name);
  const size_t shown = std::min(names.size(), kMaxCandidates);
  return WithCandidates(
      Error(ErrorCode::kAmbiguousName,
            fmt::format("'{}' fits {} models: {}{}; write more of the name", text, names.size(),
                        fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "),
                        shown < names.size() ? ", ..." : "")),
      names);
}

std::vector<Model*> ModelRegistry::Matching(std::string_view text) const {
  if (const auto exact = by_name_.find(text); exact != by_name_.end()) {
    return {exact->second};
  }
  const NameSearch search(text);
  const std::string digits = DigitsOf(text);
  std::vector<Model*> with_id;
  std::vector<Model*> found;
  NameFit best = NameFit::kFoldedStart;
  for (const auto& [name, model] : by_name_) {
    if (!digits.empty() && model->summary.id.Hex().starts_with(digits)) with_id.push_back(model);
    const NameFit fit = search.FitOf(name);
    if (fit < best) continue;
    if (fit > best) found.clear();
    best = fit;
    found.push_back(model);
  }
  return with_id.empty() || best == NameFit::kWhole ? found : with_id;
}

std::vector<std::string> ModelRegistry::Similar(std::string_view text) const {
  NameSearch search(text);
  for (const auto& [name, model] : by_name_) search.Offer(name);
  return search.TakeSimilar();
}

Model* ModelRegistry::Find(const ModelId& id) {
  return const_cast<Model*>(std::as_const(*this).Find(id));
}

const Model* ModelRegistry::Find(const ModelId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.get();
}

std::span<Model* const> ModelRegistry::UsersOf(const ComponentId& component) const {
  const auto found = by_component_.find(component);
  if (found == by_component_.end()) return {};
  return {found->second.data(), found->second.size()};
}

std::optional<std::pair<Model*, uint32_t>> ModelRegistry::FindByFile(
    const os::FileIdentity& identity) {
  std::optional<std::pair<Model*, uint32_t>> best;
  int best_rank = -1;
  const auto [begin, end] = by_file_.equal_range({identity.device, identity.inode});
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [model, index] = entry->second;
    const bool exact = model->summary.files[index].identity == identity;
    const int rank = 2 * exact + !model->ad_hoc;
    if (rank <= best_rank) continue;
    best_rank = rank;
    best = entry->second;
  }
  return best;
}

std::optional<std::pair<Model*, uint32_t>> ModelRegistry::FindByPath(const std::string& path) {
  std::optional<std::pair<Model*, uint32_t>> found;
  const auto [begin, end] = by_path_.equal_range(std::hash<std::string>()(path));
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [model, index] = entry->second;
    if (model->summary.FilePath(index) != path) continue;
    if (!found || !model->ad_hoc) found = entry->second;
  }
  return found;
}

std::vector<const Model*> ModelRegistry::AdHoc() const {
  std::vector<const Model*> models;
  for (const ModelId& id : ad_hoc_) models.push_back(Find(id));
  return models;
}

Model& ModelRegistry::Put(const ModelSummary& summary) {
  auto model = std::make_unique<Model>();
  // A copy, so that what lives long lies together and not among what a scan frees.
  model->summary = summary;
  if (const Model* old = Find(summary.id)) {
    model->last_used_unix_ms = old->last_used_unix_ms;
    Remove(summary.id);
  }
  if (auto away = last_used_.extract(summary.id)) model->last_used_unix_ms = away.mapped();
  Model& placed = *model;
  if (const auto set = overrides_.find(placed.summary.id); set != overrides_.end()) {
    ApplyOverride(placed, set->second);
  }
  if (const auto set = cache_settings_.find(placed.summary.id); set != cache_settings_.end()) {
    placed.cache_settings = set->second;
  }
  for (uint32_t i = 0; i < placed.summary.files.size(); ++i) {
    const os::FileIdentity& identity = placed.summary.files[i].identity;
    by_file_.emplace(FileKey{identity.device, identity.inode}, FileOfModel{&placed, i});
    by_path_.emplace(std::hash<std::string>()(placed.summary.FilePath(i)),
                     FileOfModel{&placed, i});
  }
  for (const ComponentSummary& component : placed.summary.components) {
    by_component_[component.id].push_back(&placed);
  }
  by_name_.erase(placed.summary.name);  // the key lies in the model that had the name
  by_name_.emplace(placed.summary.name, &placed);
  by_id_[placed.summary.id] = std::move(model);
  return placed;
}

Model& ModelRegistry::PutAdHoc(const ModelSummary& summary) {
  Model& model = Put(summary);
  model.ad_hoc = true;
  ad_hoc_.insert(model.summary.id);
  return model;
}

void ModelRegistry::SetOverride(const ModelId& id, const ModelOverride& override_by_user) {
  if (override_by_user.empty()) {
    overrides_.erase(id);
  } else {
    overrides_[id] = override_by_user;
  }
  if (Model* model = Find(id)) ApplyOverride(*model, override_by_user);
}

void ModelRegistry::SetCacheSettings(const ModelId& id, const CacheSettings& settings) {
  cache_settings_[id] = settings;
  if (Model* model = Find(id)) model->cache_settings = settings;
}

const CacheSettings& ModelRegistry::SettingsOf(const ModelId& id) const {
  static const CacheSettings kNone;
  const auto set = cache_settings_.find(id);
  return set == cache_settings_.end() ? kNone : set->second;
}

std::vector<Model*> ModelRegistry::WithSettings() {
  std::vector<Model*> models;
  for (const auto& [id, settings] : cache_settings_) {
    if (Model* model = Find(id)) models.push_back(model);
  }
  return models;
}

void ModelRegistry::Remove(const ModelId& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  Model* const model = found->second.get();
  const ModelSummary& summary = model->summary;
  if (model->ad_hoc) {
    cache_settings_.erase(id);
  } else if (model->last_used_unix_ms > 0) {
    last_used_[id] = model->last_used_unix_ms;
  }
  const auto erase = [&](auto& map, const auto& key) {
    const auto [begin, end] = map.equal_range(key);
    for (auto entry = begin; entry != end; ++entry) {
      if (entry->second.first != model) continue;
      map.erase(entry);
      return;
    }
  };
  for (uint32_t i = 0; i < summary.files.size(); ++i) {
    const os::FileIdentity& identity = summary.files[i].identity;
    erase(by_file_, FileKey{identity.device, identity.inode});
    erase(by_path_, std::hash<std::string>()(summary.FilePath(i)));
  }
  ad_hoc_.erase(id);
  for (const ComponentSummary& component : summary.components) {
    const auto users = by_component_.find(component.id);
    if (users == by_component_.end()) continue;  // a component that the model has twice
    users->second.erase(std::remove(users->second.begin(), users->second.end(), model),
                        users->second.end());
    if (users->second.empty()) by_component_.erase(users);
  }
  const auto named = by_name_.find(summary.name);
  if (named != by_name_.end() && named->second == model) by_name_.erase(named);
  by_id_.erase(found);
}

}  // namespace warmset
