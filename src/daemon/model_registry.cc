#include "daemon/model_registry.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <iterator>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMinIdDigits = 4;
constexpr size_t kMaxCandidates = 10;

// Lower case, with '_' and ' ' as '-': how names are compared when nothing else fits.
std::string Folded(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    c = c == '_' || c == ' ' ? '-'
                             : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return folded;
}

std::string_view LastPart(std::string_view name) { return name.substr(name.rfind('/') + 1); }

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
}

template <typename Predicate>
std::vector<Model*> Select(const std::map<std::string, Model*>& models, Predicate predicate) {
  std::vector<Model*> selected;
  for (const auto& [name, model] : models) {
    if (predicate(*model)) selected.push_back(model);
  }
  return selected;
}

void ApplyOverride(Model& model, const ModelOverride& override_by_user) {
  model.override_by_user = override_by_user;
  const auto choose = [](const std::string& user, const std::string& identified) {
    return user.empty() ? identified : user;
  };
  model.summary.model_kind = choose(override_by_user.kind, model.identified_kind);
  model.summary.architecture =
      choose(override_by_user.architecture, model.identified_architecture);
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

// The first rule that anything fits decides.
std::vector<Model*> ModelRegistry::Matching(std::string_view text) const {
  if (const auto exact = by_name_.find(std::string(text)); exact != by_name_.end()) {
    return {exact->second};
  }
  std::vector<Model*> found;
  if (text.size() >= kMinIdDigits && IsHex(text)) {
    const std::string digits = Folded(text);
    found = Select(by_name_, [&](const Model& model) {
      return model.summary.id.Hex().starts_with(digits);
    });
  }
  if (found.empty()) {
    found = Select(by_name_, [&](const Model& model) {
      return model.summary.name.starts_with(text) || LastPart(model.summary.name) == text;
    });
  }
  if (found.empty()) {
    found = Select(by_name_, [&](const Model& model) {
      return LastPart(model.summary.name).starts_with(text);
    });
  }
  if (found.empty()) {
    const std::string folded = Folded(text);
    found = Select(by_name_, [&](const Model& model) {
      const std::string name = Folded(model.summary.name);
      return name.starts_with(folded) || LastPart(name).starts_with(folded);
    });
  }
  return found;
}

std::vector<std::string> ModelRegistry::Similar(std::string_view text) const {
  const std::string folded = Folded(LastPart(text));
  std::vector<std::string> names;
  for (const auto& [name, model] : by_name_) {
    if (names.size() == kMaxCandidates) break;
    if (!folded.empty() && Folded(name).find(folded) != std::string::npos) names.push_back(name);
  }
  return names;
}

Model* ModelRegistry::Find(const ModelId& id) {
  return const_cast<Model*>(std::as_const(*this).Find(id));
}

const Model* ModelRegistry::Find(const ModelId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.get();
}

const std::vector<Model*>& ModelRegistry::UsersOf(const ComponentId& component) const {
  static const std::vector<Model*> kNone;
  const auto found = by_component_.find(component);
  return found == by_component_.end() ? kNone : found->second;
}

std::optional<std::pair<Model*, uint32_t>> ModelRegistry::FindByFile(
    const os::FileIdentity& identity) {
  std::optional<std::pair<Model*, uint32_t>> best;
  int best_rank = -1;
  const auto [begin, end] = by_file_.equal_range({identity.device, identity.inode});
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [id, index] = entry->second;
    Model* model = Find(id);
    const bool exact = model->summary.files[index].identity == identity;
    const int rank = 2 * exact + !model->ad_hoc;
    if (rank <= best_rank) continue;
    best_rank = rank;
    best = std::pair{model, index};
  }
  return best;
}

std::optional<std::pair<Model*, uint32_t>> ModelRegistry::FindByPath(const std::string& path) {
  std::optional<std::pair<Model*, uint32_t>> found;
  const auto [begin, end] = by_path_.equal_range(std::hash<std::string>()(path));
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [id, index] = entry->second;
    Model* model = Find(id);
    if (model->summary.FilePath(index) != path) continue;
    if (!found || !model->ad_hoc) found = std::pair{model, index};
  }
  return found;
}

std::vector<const Model*> ModelRegistry::AdHoc() const {
  std::vector<const Model*> models;
  for (const ModelId& id : ad_hoc_) models.push_back(Find(id));
  return models;
}

Model& ModelRegistry::Put(ModelSummary summary) {
  auto model = std::make_unique<Model>();
  if (const Model* old = Find(summary.id)) {
    model->last_used_unix_ms = old->last_used_unix_ms;
    Remove(summary.id);
  }
  model->summary = std::move(summary);
  Model& placed = *model;
  placed.identified_kind = placed.summary.model_kind;
  placed.identified_architecture = placed.summary.architecture;
  if (const auto set = overrides_.find(placed.summary.id); set != overrides_.end()) {
    ApplyOverride(placed, set->second);
  }
  if (const auto set = cache_settings_.find(placed.summary.id); set != cache_settings_.end()) {
    placed.cache_settings = set->second;
  }
  for (uint32_t i = 0; i < placed.summary.files.size(); ++i) {
    const os::FileIdentity& identity = placed.summary.files[i].identity;
    by_file_.emplace(FileKey{identity.device, identity.inode}, FileOfModel{placed.summary.id, i});
    by_path_.emplace(std::hash<std::string>()(placed.summary.FilePath(i)),
                     FileOfModel{placed.summary.id, i});
  }
  for (const ComponentSummary& component : placed.summary.components) {
    by_component_[component.id].push_back(&placed);
  }
  by_name_[placed.summary.name] = &placed;
  by_id_[placed.summary.id] = std::move(model);
  return placed;
}

Model& ModelRegistry::PutAdHoc(ModelSummary summary) {
  Model& model = Put(std::move(summary));
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

void ModelRegistry::Remove(const ModelId& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const ModelSummary& summary = found->second->summary;
  const auto erase = [&](auto& map, const auto& key) {
    const auto [begin, end] = map.equal_range(key);
    for (auto entry = begin; entry != end;) {
      entry = entry->second.first == id ? map.erase(entry) : std::next(entry);
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
    std::erase(users->second, found->second.get());
    if (users->second.empty()) by_component_.erase(users);
  }
  const auto named = by_name_.find(summary.name);
  if (named != by_name_.end() && named->second == found->second.get()) by_name_.erase(named);
  by_id_.erase(found);
}

}  // namespace warmset
