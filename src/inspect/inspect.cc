#include "inspect/inspect.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/components.h"
#include "inspect/model_config.h"
#include "inspect/safetensors/header.h"
#include "inspect/shard_index.h"
#include "inspect/weight_sets.h"

namespace warmset {
namespace {

constexpr size_t kMaxIndexBytes = 128 * kMiB;  // of a million tensors
constexpr size_t kMaxConfigBytes = 4 * kMiB;
constexpr size_t kMaxFindings = 50;

constexpr const char* kConfigName = "config.json";
constexpr const char* kModelIndexName = "model_index.json";

// "text_encoder" for "text_encoder_3".
std::string_view WithoutNumber(std::string_view folder) {
  const size_t end = folder.find_last_not_of("0123456789");
  const bool numbered =
      end != std::string_view::npos && end + 1 < folder.size() && end > 0 && folder[end] == '_';
  return numbered ? folder.substr(0, end) : folder;
}

// Builds the manifest of one model. Used once.
class Inspection {
 public:
  Inspection(const ModelFiles& model, FileProvider& provider) : model_(model), provider_(provider) {
    manifest_.kind = model.kind;
    manifest_.format = "safetensors";
    for (const ManifestFile& file : model.files) sighted_[file.path] = &file;
  }

  StatusOr<Manifest> Run() {
    switch (model_.kind) {
      case ModelKind::kFile:
        RETURN_IF_ERROR(AddSingleFile());
        break;
      case ModelKind::kSharded:
      case ModelKind::kTransformers:
        ReadArchitecture(kConfigName);
        RETURN_IF_ERROR(AddFolder("", "model", TypeOfClass(manifest_.architecture)));
        break;
      case ModelKind::kDiffusers:
        RETURN_IF_ERROR(AddPipeline());
        break;
    }
    if (manifest_.components.empty()) {
      return Error(ErrorCode::kUnsupportedFormat,
                   "it has no .safetensors weights; other formats are not read");
    }
    return std::move(manifest_);
  }

 private:
  // A single file is split by the names of its tensors.
  Status AddSingleFile() {
    if (model_.files.size() != 1) {
      return Error(ErrorCode::kInvalidRequest, "a model of one file has exactly one file");
    }
    ASSIGN_OR_RETURN(const FileTensors part, AddWeights(model_.files.front().path));
    manifest_.components = SplitIntoComponents(manifest_.files, part);
    return OkStatus();
  }

  Status AddPipeline() {
    ASSIGN_OR_RETURN(const std::string json, ReadText(kModelIndexName, kMaxConfigBytes));
    auto index = ParseModelIndex(json);
    if (!index.ok()) return Annotate(index.status(), kModelIndexName);
    manifest_.architecture = index->pipeline;
    for (const std::string& folder : Folders()) {
      const auto entry = index->components.find(folder);
      if (entry == index->components.end()) {
        Warn(folder, ErrorCode::kInvalidRequest,
             "model_index.json does not name this folder; its weights are left out");
        continue;
      }
      const std::string_view type = TypeOfClass(entry->second);
      RETURN_IF_ERROR(AddFolder(folder + "/", folder, type.empty() ? WithoutNumber(folder) : type));
      index->components.erase(entry);
    }
    for (const auto& [folder, class_name] : index->components) {
      if (TypeOfClass(class_name).empty()) continue;
      Warn(folder, ErrorCode::kFileNotFound,
           fmt::format("{} has no .safetensors weights here", class_name));
    }
    return OkStatus();
  }

  // Each set of weights in a folder is a component: `name` the one that is
  // loaded by default, `name`.variant the others.
  Status AddFolder(const std::string& prefix, const std::string& name, std::string_view type) {
    std::vector<std::string> names;
    for (const ManifestFile& file : model_.files) {
      if (!file.path.starts_with(prefix)) continue;
      std::string base = file.path.substr(prefix.size());
      if (IsBareName(base)) names.push_back(std::move(base));
    }
    std::map<std::string, ShardIndex> indexes;
    Status status;
    const auto sets = GroupWeights(names, [&](const std::string& index_name) {
      auto index = ReadShardIndex(prefix + index_name);
      if (!index.ok()) {
        status = index.status();
        return std::vector<std::string>();
      }
      return indexes.insert_or_assign(index_name, *std::move(index)).first->second.shards;
    });
    RETURN_IF_ERROR(status);
    const auto labels = VariantLabels(sets);
    for (size_t i = 0; i < sets.size(); ++i) {
      const std::string label = labels[i].empty() ? name : name + "." + labels[i];
      const WeightSet& set = sets[i];
      std::vector<FileTensors> parts;
      if (set.index.empty()) {
        ASSIGN_OR_RETURN(FileTensors part, AddWeights(prefix + set.files.front()));
        parts.push_back(std::move(part));
      } else {
        ASSIGN_OR_RETURN(parts, AddShards(prefix, set.index, indexes.at(set.index)));
      }
      const std::string guess = type.empty() ? GuessType(parts.front().tensors) : std::string(type);
      manifest_.components.push_back(MakeWholeComponent(label, guess, manifest_.files, parts));
    }
    return OkStatus();
  }

  StatusOr<ShardIndex> ReadShardIndex(const std::string& path) {
    ASSIGN_OR_RETURN(const std::string json, ReadText(path, kMaxIndexBytes));
    auto index = ParseShardIndex(json);
    if (!index.ok()) return Annotate(index.status(), path);
    if (index->shards.empty()) {
      return Error(ErrorCode::kCorruptedModel, fmt::format("{}: it names no file", path));
    }
    return index;
  }

  // Every tensor is where the index says, and each name is given out once.
  StatusOr<std::vector<FileTensors>> AddShards(const std::string& prefix,
                                               const std::string& index_name,
                                               const ShardIndex& index) {
    std::unordered_map<std::string_view, uint32_t> expected;
    expected.reserve(index.weight_map.size());
    for (const auto& [tensor, shard] : index.weight_map) expected.emplace(tensor, shard);

    std::vector<FileTensors> parts;
    size_t found = 0;
    for (uint32_t shard = 0; shard < index.shards.size(); ++shard) {
      const std::string path = prefix + index.shards[shard];
      ASSIGN_OR_RETURN(FileTensors part, AddWeights(path));
      const auto misplaced = [&](const TensorEntry& tensor) {
        const auto entry = expected.find(tensor.name);
        if (entry != expected.end() && entry->second == shard) {
          ++found;
          return false;
        }
        Warn(path, ErrorCode::kCorruptedModel,
             fmt::format("tensor '{}' is not listed for this file in {}; it is left out",
                         tensor.name, index_name));
        return true;
      };
      std::erase_if(part.tensors, misplaced);
      parts.push_back(std::move(part));
    }
    if (found == expected.size()) return parts;

    for (const FileTensors& part : parts) {
      for (const TensorEntry& tensor : part.tensors) expected.erase(tensor.name);
    }
    const auto& [tensor, shard] = *expected.begin();
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("{}: tensor '{}' is not in {} ({} such)", prefix + index_name, tensor,
                             index.shards[shard], expected.size()));
  }

  // Reads one weights file's header and adds it to the manifest's files.
  StatusOr<FileTensors> AddWeights(const std::string& path) {
    ASSIGN_OR_RETURN(const os::UniqueFd fd, Open(path));
    const ManifestFile& sighted = *sighted_.at(path);
    auto header = ReadSafetensorsHeader(fd.get(), sighted.identity.size);
    RETURN_IF_ERROR(CheckUnchanged(fd.get(), sighted));
    if (!header.ok()) return Annotate(header.status(), path);
    for (std::string& warning : header->warnings) {
      Warn(path, ErrorCode::kCorruptedModel, std::move(warning));
    }
    manifest_.files.push_back(sighted);
    return FileTensors{static_cast<uint32_t>(manifest_.files.size() - 1),
                       std::move(header->tensors), std::move(header->metadata)};
  }

  // A config that can't be read leaves the weights as good as they are.
  void ReadArchitecture(const std::string& path) {
    if (!sighted_.contains(path)) return;
    auto json = ReadText(path, kMaxConfigBytes);
    auto architecture = json.ok() ? ParseArchitecture(*json) : json.status();
    if (architecture.ok()) {
      manifest_.architecture = *std::move(architecture);
    } else {
      Warn(path, CodeOf(architecture.status()), std::string(Message(architecture.status())));
    }
  }

  StatusOr<std::string> ReadText(const std::string& path, size_t max_bytes) {
    ASSIGN_OR_RETURN(const os::UniqueFd fd, Open(path));
    auto text = os::ReadSmallFile(fd.get(), max_bytes);
    RETURN_IF_ERROR(CheckUnchanged(fd.get(), *sighted_.at(path)));
    if (!text.ok()) return Annotate(text.status(), path);
    return text;
  }

  StatusOr<os::UniqueFd> Open(const std::string& path) {
    const auto sighted = sighted_.find(path);
    if (sighted == sighted_.end()) {
      return Error(ErrorCode::kFileNotFound,
                   fmt::format("{} is named but not there; download it again", path));
    }
    auto fd = provider_.Open(path);
    if (!fd.ok()) return Annotate(fd.status(), path);
    RETURN_IF_ERROR(CheckUnchanged(fd->get(), *sighted->second));
    return fd;
  }

  static Status CheckUnchanged(int fd, const ManifestFile& sighted) {
    ASSIGN_OR_RETURN(const os::FileIdentity now, os::Identify(fd));
    if (now == sighted.identity) return OkStatus();
    return Error(ErrorCode::kFileChanged,
                 fmt::format("{} changes while it is looked at; scan again when it is complete",
                             sighted.path));
  }

  // The folders below the model's own that have files, in order.
  std::vector<std::string> Folders() const {
    std::vector<std::string> folders;
    for (const auto& [path, file] : sighted_) {
      const size_t slash = path.find('/');
      if (slash == std::string::npos) continue;
      std::string folder = path.substr(0, slash);
      if (folders.empty() || folders.back() != folder) folders.push_back(std::move(folder));
    }
    return folders;
  }

  void Warn(std::string path, ErrorCode code, std::string message) {
    if (manifest_.findings.size() == kMaxFindings) return;
    manifest_.findings.push_back({std::move(path), code, std::move(message)});
  }

  const ModelFiles& model_;
  FileProvider& provider_;
  std::map<std::string, const ManifestFile*> sighted_;  // by path
  Manifest manifest_;
};

// Gives out one descriptor of somebody else.
class PassedFile final : public FileProvider {
 public:
  explicit PassedFile(int fd) : fd_(fd) {}
  StatusOr<os::UniqueFd> Open(const std::string&) override { return os::Duplicate(fd_); }

 private:
  const int fd_;
};

// The run that a tensor at that entry offset lies in.
const FileRun* RunAt(const std::vector<FileRun>& runs, uint64_t entry_offset) {
  const auto after = std::upper_bound(
      runs.begin(), runs.end(), entry_offset,
      [](uint64_t offset, const FileRun& run) { return offset < run.entry_offset; });
  return after == runs.begin() ? nullptr : &*std::prev(after);
}

}  // namespace

StatusOr<std::string> InspectModel(const ModelFiles& model, FileProvider& provider) {
  ASSIGN_OR_RETURN(const Manifest manifest, Inspection(model, provider).Run());
  return EncodeManifest(manifest);
}

StatusOr<std::string> InspectFile(int fd, const std::string& name) {
  RETURN_IF_ERROR(os::CheckReadableFile(fd));
  ModelFiles model;
  ASSIGN_OR_RETURN(const os::FileIdentity identity, os::Identify(fd));
  model.files.push_back({.path = name, .identity = identity, .content_hash = ""});
  PassedFile provider(fd);
  return InspectModel(model, provider);
}

StatusOr<ComponentManifest> WholeFileComponent(const Manifest& manifest, uint32_t file_index) {
  if (file_index >= manifest.files.size()) {
    return Error(ErrorCode::kInvalidRequest, "the manifest has no such file");
  }
  const ManifestFile& file = manifest.files[file_index];
  FileTensors part{.file = file_index, .tensors = {}, .metadata = {}};
  for (const ComponentManifest& component : manifest.components) {
    const bool has_file = std::any_of(component.runs.begin(), component.runs.end(),
                                      [&](const FileRun& run) { return run.file == file_index; });
    if (!has_file) continue;
    if (component.runs.size() == 1 && component.runs[0].bytes == file.identity.size) {
      return component;
    }
    ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(component.tensor_index)));
    part.metadata = index.metadata();
    for (uint64_t i = 0; i < index.tensor_count(); ++i) {
      TensorEntry tensor = index.tensor(i);
      const FileRun* run = RunAt(component.runs, tensor.offset);
      if (run == nullptr || run->file != file_index) continue;
      tensor.offset = run->file_offset + (tensor.offset - run->entry_offset);
      part.tensors.push_back(std::move(tensor));
    }
  }
  std::sort(part.tensors.begin(), part.tensors.end(), InFileOrder);
  return MakeWholeComponent(file.path, "file", manifest.files, {&part, 1});
}

}  // namespace warmset
