#include "discover/weights_sighter.h"

#include <algorithm>
#include <map>
#include <utility>

#include "fmt/format.h"
#include "inspect/access_record.h"
#include "inspect/model_config.h"
#include "inspect/shard_sets.h"
#include "os/directory.h"

namespace warmset {
namespace {

constexpr const char* kConfigName = "config.json";
constexpr const char* kModelIndexName = "model_index.json";

std::string_view StemOf(std::string_view file) { return file.substr(0, file.rfind('.')); }

// What programs call the weights of any model: the folder's name tells more.
bool IsGenericStem(std::string_view stem) {
  return IsLibraryStem(stem) || stem == "learned_embeds";
}

// Takes out the sets that are not whole and stand beside a file of their stem: a save in
// one file over a sharded one leaves them. What is to be said of each, by that file.
std::map<std::string, Finding> TakeStale(std::vector<WeightSet>& sets) {
  std::map<std::string, Finding> warnings;
  for (size_t i = 0; i < sets.size();) {
    const WeightSet& set = sets[i];
    const bool may_be =
        set.sharded() && IsLibraryStem(set.stem) && (set.missing_count != 0 || set.files.empty());
    const size_t single = may_be ? FindSingleFile(sets, set) : sets.size();
    if (single == sets.size()) {
      ++i;
      continue;
    }
    const std::string& file = sets[single].files.front();
    const std::string why = set.missing_count == 0
                                ? "names no shard that is here"
                                : fmt::format("belongs to a set of which {} is not there ({} such)",
                                              set.first_missing, set.missing_count);
    warnings[file] = {.path = set.index.empty() ? set.files.front() : set.index,
                      .message = fmt::format("it {}; {} is used", why, file)};
    sets.erase(sets.begin() + static_cast<ptrdiff_t>(i));
  }
  return warnings;
}

}  // namespace

void WeightsSighter::SightAll() {
  const size_t before = state_.sightings();
  if (folder_.files.contains(kModelIndexName)) SightPipeline();
  SightWeights();
  if (state_.sightings() == before) SightWithoutWeights();
  NoteUnusable(folder_);
}

void WeightsSighter::SightFile(const std::string& name) {
  const auto sets = SetsOf(folder_, /*holds_models=*/true);
  const auto set = std::find_if(sets.begin(), sets.end(), [&](const WeightSet& candidate) {
    if (candidate.index == name) return true;
    // A part of a split GGUF file is nothing without the others; a shard of
    // safetensors is a file like any other.
    return candidate.suffix == ".gguf" && candidate.files.size() + candidate.missing_count > 1 &&
           std::find(candidate.files.begin(), candidate.files.end(), name) != candidate.files.end();
  });
  if (set != sets.end()) {
    SightSet(*set);
  } else {
    SightSet({.stem = std::string(StemOf(name)),
              .suffix = "",
              .index = "",
              .files = {name},
              .missing_count = 0,
              .first_missing = ""});
  }
}

void WeightsSighter::SightPipeline() {
  Sighting sighting = Start(ModelLayout::kDiffusers);
  AddFile(sighting, folder_, kModelIndexName, "");
  for (const auto& [name, symlink] : folder_.folders) {
    const auto place = state_.Below(folder_, place_, name, symlink);
    if (!place) continue;
    const auto part = state_.List(folder_.path + "/" + name, *place);
    if (!part) continue;
    const std::string prefix = name + "/";
    const bool has_config = part->files.contains(kConfigName);
    if (has_config) AddFile(sighting, *part, kConfigName, prefix);
    const std::vector<WeightSet> sets = SetsOf(*part, /*holds_models=*/true);
    for (const WeightSet& set : sets) AddSet(sighting, *part, set, prefix);
    if (has_config && sets.empty()) AddMissing(sighting, *place, prefix);
    NoteUnusable(*part);
  }
  AddRecord(sighting);
  FinishFolder(std::move(sighting));
}

void WeightsSighter::SightWeights() {
  const bool has_config =
      folder_.files.contains(kConfigName) || folder_.unusable.contains(kConfigName);
  const bool holds_models =
      has_config || place_.in_hub() || !place_.folder_kind.empty() || state_.pointed_at();
  std::vector<WeightSet> sets = SetsOf(folder_, holds_models);
  const auto in_library_format = [](const WeightSet& set) { return IsLibraryFormat(set.suffix); };
  const bool only_one = std::count_if(sets.begin(), sets.end(), in_library_format) == 1;
  const auto belongs = [&](const WeightSet& set) {
    return in_library_format(set) && (IsLibraryStem(set.stem) || only_one);
  };
  const std::string adapter_config(kAdapterConfigName);
  const bool is_adapter = folder_.files.contains(adapter_config);
  const bool is_model = (has_config || is_adapter) && !folder_.files.contains(kModelIndexName);
  if (is_model && std::any_of(sets.begin(), sets.end(), belongs)) {
    Sighting together = Start(ModelLayout::kTransformers);
    if (has_config) AddFile(together, folder_, kConfigName, "");
    if (is_adapter) AddFile(together, folder_, adapter_config, "");
    for (const WeightSet& set : sets) {
      if (belongs(set)) AddSet(together, folder_, set, "");
    }
    AddRecord(together);
    FinishFolder(std::move(together));
    std::erase_if(sets, belongs);
  }
  const std::map<std::string, Finding> warnings = TakeStale(sets);
  for (const WeightSet& set : sets) {
    const auto warning = set.sharded() ? warnings.end() : warnings.find(set.files.front());
    SightSet(set, warning == warnings.end() ? nullptr : &warning->second);
  }
}

void WeightsSighter::SightWithoutWeights() {
  const bool has_record = folder_.files.contains(std::string(kAccessRecordName));
  const bool has_config = folder_.files.contains(kConfigName);
  // A config.json alone may be anybody's, and beside a model it is a part of that.
  const bool is_meant = has_config && state_.pointed_at() && state_.sightings() == 0;
  Sighting sighting = Start(ModelLayout::kTransformers);
  if (has_config && !HasOthersOfTheCommit()) AddMissing(sighting, place_, "");
  if (!has_record && !is_meant && sighting.findings.empty()) return;
  if (has_config) AddFile(sighting, folder_, kConfigName, "");
  AddRecord(sighting);
  FinishFolder(std::move(sighting));
}

bool WeightsSighter::HasOthersOfTheCommit() const {
  if (place_.tree == nullptr) return false;
  return std::any_of(
      place_.tree->files.begin(), place_.tree->files.end(), [&](const HubFile& file) {
        const std::string name = BaseName(file.path);
        return file.path.starts_with(place_.in_snapshot) && MayBeWeightsFile(name) &&
               os::StatAt(folder_.fd.get(), file.path.substr(place_.in_snapshot.size())).ok();
      });
}

void WeightsSighter::SightSet(const WeightSet& set, const Finding* warning) {
  if (!set.sharded()) {
    Sighting sighting = Start(ModelLayout::kFile);
    const std::string& file = set.files.front();
    AddSet(sighting, folder_, set, "");
    if (warning != nullptr) sighting.findings.push_back(*warning);
    FinishFile(std::move(sighting), file, file, file, /*folder_names_it=*/false);
    return;
  }
  Sighting sighting = Start(ModelLayout::kSharded);
  AddSet(sighting, folder_, set, "");
  AddRecord(sighting);
  const size_t parts = set.files.size() + set.missing_count;
  const std::string id_part =
      set.index.empty() ? fmt::format("{}-of-{:05}{}", set.stem, parts, set.suffix) : set.index;
  FinishFile(std::move(sighting), set.index.empty() ? set.files.front() : set.index,
             set.stem + set.suffix, id_part, IsGenericStem(set.stem));
}

std::vector<WeightSet> WeightsSighter::SetsOf(const Folder& folder, bool holds_models) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (MayBeWeightsFile(name) && !holds_models && !IsWeightsFile(name)) return;
    names.push_back(name);
  };
  for (const auto& [name, found] : folder.files) add(name);
  for (const auto& [name, finding] : folder.unusable) add(name);
  std::vector<WeightSet> sets = GroupWeights(names, [&](const std::string& index) {
    const auto file = folder.files.find(index);
    if (file == folder.files.end()) return std::vector<std::string>();
    return state_.NamedFiles(folder.path + "/" + index, file->second.identity);
  });
  // What the libraries would not load is not looked at.
  (void)TakeCopies(sets);
  for (const WeightSet& set : sets) state_.CountFiles(set.files.size());
  return sets;
}

void WeightsSighter::AddSet(Sighting& sighting, const Folder& folder, const WeightSet& set,
                            const std::string& prefix) {
  if (!set.index.empty()) AddFile(sighting, folder, set.index, prefix);
  for (const std::string& file : set.files) {
    AddFile(sighting, folder, file, prefix);
    if (set.suffix != ".onnx") continue;
    // Their names begin with the model's, and follow it in the folder's order.
    for (auto next = folder.files.upper_bound(file);
         next != folder.files.end() && next->first.starts_with(file); ++next) {
      if (IsOnnxDataOf(next->first, file)) AddFile(sighting, folder, next->first, prefix);
    }
  }
}

void WeightsSighter::AddFile(Sighting& sighting, const Folder& folder, const std::string& name,
                             const std::string& prefix) {
  if (const auto wrong = folder.unusable.find(name); wrong != folder.unusable.end()) {
    Finding finding = wrong->second;
    finding.path = prefix + name;
    sighting.findings.push_back(std::move(finding));
    told_.insert(folder.path + "/" + name);
    return;
  }
  if (folder.unfinished.contains(name)) {
    sighting.findings.push_back(FindingOf(
        Error(ErrorCode::kIncompleteModel,
              "its download is not finished, as the downloader's file beside it (.aria2 or .st) "
              "says; start it again to go on, or remove that file if this one is whole"),
        prefix + name));
  }
  const FoundFile& found = folder.files.at(name);
  sighting.model.files.push_back({prefix + name, found.identity, found.claimed_hash});
}

void WeightsSighter::AddMissing(Sighting& sighting, const Place& place, const std::string& prefix) {
  if (place.tree == nullptr) return;
  std::vector<std::string> names;
  for (const HubFile& file : place.tree->files) {
    if (!file.path.starts_with(place.in_snapshot)) continue;
    std::string name = file.path.substr(place.in_snapshot.size());
    if (name.find('/') == std::string::npos) names.push_back(std::move(name));
  }
  std::vector<WeightSet> sets =
      GroupWeights(names, [](const std::string&) { return std::vector<std::string>(); });
  (void)TakeCopies(sets);
  std::erase_if(sets, [](const WeightSet& set) { return !IsLibraryFormat(set.suffix); });
  const std::vector<std::string> labels = VariantLabels(sets);
  for (size_t i = 0; i < sets.size(); ++i) {
    if (!labels[i].empty()) continue;
    for (const std::string& file : sets[i].files) {
      sighting.findings.push_back(
          FindingOf(Error(ErrorCode::kIncompleteModel,
                          "the commit has it and it is not here; download it again"),
                    prefix + file));
    }
  }
}

void WeightsSighter::AddRecord(Sighting& sighting) {
  const std::string record(kAccessRecordName);
  if (folder_.files.contains(record)) AddFile(sighting, folder_, record, "");
}

Sighting WeightsSighter::Start(ModelLayout layout) const {
  Sighting sighting;
  sighting.root = state_.Share(place_.root);
  sighting.folder = state_.Share(folder_.path);
  sighting.boundary = state_.Share(place_.in_hub() ? place_.repo : place_.root);
  sighting.version = state_.Share(place_.tag);
  sighting.commit = state_.Share(place_.commit);
  sighting.model.layout = layout;
  sighting.model.folder_kind = place_.folder_kind;
  return sighting;
}

void WeightsSighter::FinishFolder(Sighting sighting) {
  sighting.path = folder_.path;
  sighting.parent = state_.Share(ParentOf(folder_.path));
  const std::string& root = place_.root;
  if (place_.in_hub()) {
    sighting.base_name = place_.prefix;
    sighting.parent = state_.Share(place_.parent);
  } else if (folder_.path.size() > root.size() + 1 && folder_.path.starts_with(root)) {
    sighting.base_name = folder_.path.substr(root.size() + (root == "/" ? 0 : 1));
    sighting.parent = state_.Share(root);
  } else {
    sighting.base_name = BaseName(folder_.path);
  }
  state_.Sight(std::move(sighting), place_.id);
}

void WeightsSighter::FinishFile(Sighting sighting, const std::string& file,
                                const std::string& shown, const std::string& id_part,
                                bool folder_names_it) {
  sighting.path = folder_.path + "/" + file;
  sighting.parent = state_.Share(ParentOf(folder_.path));
  if (place_.in_hub()) {
    sighting.base_name = place_.prefix + "/" + shown;
    sighting.parent = state_.Share(place_.parent);
  } else if (folder_names_it) {
    sighting.base_name = BaseName(folder_.path);
  } else if (IsGenericStem(StemOf(shown))) {
    sighting.base_name = BaseName(folder_.path) + "/" + shown;
  } else {
    sighting.base_name = shown;
    sighting.parent = state_.Share(folder_.path);
  }
  state_.Sight(std::move(sighting), place_.id + "/" + id_part);
}

void WeightsSighter::NoteUnusable(const Folder& folder) {
  for (const auto& [name, finding] : folder.unusable) {
    const std::string path = folder.path + "/" + name;
    if (told_.contains(path)) continue;
    state_.Note(path, CodeOfVerdict(finding.verdict), finding.message);
  }
}

}  // namespace warmset
