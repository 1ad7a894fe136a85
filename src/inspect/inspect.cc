#include "inspect/inspect.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/access_record.h"
#include "inspect/components.h"
#include "inspect/cut_off.h"
#include "inspect/format_reader.h"
#include "inspect/gguf/split.h"
#include "inspect/identify/identify.h"
#include "inspect/model_config.h"
#include "inspect/ollama/manifest.h"
#include "inspect/shard_index.h"
#include "inspect/shard_sets.h"
#include "inspect/stand_in.h"
#include "inspect/weight_sets.h"

namespace warmset {
namespace {

constexpr size_t kMaxConfigBytes = 4 * kMiB;
constexpr size_t kMaxFindings = 50;
constexpr size_t kMaxMessageBytes = 1000;
// Each component of a file has the file's metadata; larger ones go with the first only.
constexpr uint64_t kMaxCopiedMetadata = 4 * kMiB;

constexpr const char* kConfigName = "config.json";
constexpr const char* kModelIndexName = "model_index.json";

// A message may quote a name of any length.
std::string Shortened(std::string message) {
  if (message.size() <= kMaxMessageBytes) return message;
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return message.substr(0, end) + "…";
}

bool AreZeros(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{}; });
}

uint64_t BytesOf(const std::map<std::string, std::string>& metadata) {
  uint64_t bytes = 0;
  for (const auto& [key, value] : metadata) bytes += key.size() + value.size();
  return bytes;
}

// The model's own version: what converters and trainers call it.
std::string VersionIn(const std::map<std::string, std::string>& metadata) {
  constexpr size_t kMaxVersionBytes = 64;
  for (const char* key : {"general.version", "modelspec.version", "model_version", "version"}) {
    const auto found = metadata.find(key);
    if (found == metadata.end() || found->second.empty()) continue;
    const std::string& version = found->second;
    if (version.size() <= kMaxVersionBytes && IsPrintable(version)) return version;
  }
  return {};
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Builds the manifest of one model. Used once.
class Inspection {
 public:
  Inspection(const ModelFiles& model, FileProvider& provider) : model_(model), provider_(provider) {
    manifest_.layout = model.layout;
    for (const ManifestFile& file : model.files) sighted_[file.path] = &file;
  }

  StatusOr<Manifest> Run() {
    const Status status = AddAll();
    if (!status.ok()) RETURN_IF_ERROR(Note(status, ""));
    // A file without tensors is what its format says; no file at all is no model.
    if (manifest_.files.empty() && manifest_.verdict() == Verdict::kOk) NoteNoWeights();
    const Verdict verdict = manifest_.verdict();
    if (verdict == Verdict::kIncomplete || verdict == Verdict::kUnrecognized) {
      RETURN_IF_ERROR(AddAccessRecord());
    }
    return std::move(manifest_);
  }

 private:
  Status AddAll() {
    switch (model_.layout) {
      case ModelLayout::kFile:
        return AddSingleFile();
      case ModelLayout::kSharded:
      case ModelLayout::kTransformers:
        return AddOwnFolder();
      case ModelLayout::kDiffusers:
        return AddPipeline();
      case ModelLayout::kOllama:
        return AddOllamaModel();
    }
    return OkStatus();
  }

  Status AddOwnFolder() {
    const ModelConfig config = ReadConfig(kConfigName);
    adapter_ = ReadAdapterConfig();
    class_name_ = config.class_name.empty() ? config.model_type : config.class_name;
    return AddFolder("", config);
  }

  // A folder that says what it is has lost its weights; a file may be anything.
  void NoteNoWeights() {
    const bool says_what = model_.layout == ModelLayout::kDiffusers || !class_name_.empty();
    AddFinding(FindingOf(says_what
                             ? Error(ErrorCode::kIncompleteModel,
                                     fmt::format("{} without weights; download it again",
                                                 class_name_.empty() ? "a pipeline" : class_name_))
                             : Error(ErrorCode::kUnrecognizedFormat, "it has no weights"),
                         ""));
  }

  // Why something is missing, if whoever tried to get it recorded that.
  Status AddAccessRecord() {
    const std::string path(kAccessRecordName);
    if (!sighted_.contains(path)) return OkStatus();
    auto json = ReadText(path, kMaxAccessRecordBytes);
    const Status refusal = json.ok() ? ReadAccessRecord(*json) : json.status();
    if (CodeOf(refusal) != ErrorCode::kCorruptedModel) return Note(refusal, path);
    Warn(path, std::string(Message(refusal)));
    return OkStatus();
  }

  // A single file is split by the names of its tensors.
  Status AddSingleFile() {
    if (model_.files.empty()) {
      return Error(ErrorCode::kInvalidRequest, "a model of one file has no file");
    }
    ASSIGN_OR_RETURN(std::optional<FilePart> part, AddWeights(model_.files.front().path));
    if (!part) return OkStatus();
    RETURN_IF_ERROR(CheckNotAlone(model_.files.front().path, part->contents));
    const Identification identification = IdentifyParts({&*part, 1}, {}, "");
    TakeOver(identification);
    if (identification.groups.empty() || part->files.size() != 1) {
      AddWhole("model", identification.type, {&*part, 1});
      return OkStatus();
    }
    for (const TensorGroup& group : identification.groups) {
      manifest_.components.push_back(MakePartComponent(group, manifest_.files, *part));
      if (BytesOf(part->contents.metadata) > kMaxCopiedMetadata) part->contents.metadata.clear();
    }
    return OkStatus();
  }

  Status AddPipeline() {
    ASSIGN_OR_RETURN(const std::string json, ReadText(kModelIndexName, kMaxConfigBytes));
    auto index = ParseModelIndex(json);
    if (!index.ok()) return Annotate(index.status(), kModelIndexName);
    WarnOfCode(kModelIndexName, index->code_settings);
    class_name_ = index->pipeline;
    for (const std::string& folder : Folders()) {
      const auto entry = index->components.find(folder);
      if (entry == index->components.end()) {
        Warn(folder, "model_index.json does not name this folder; its weights are left out");
        continue;
      }
      ModelConfig config = ReadConfig(folder + "/" + kConfigName);
      CheckClass(folder, entry->second, config.class_name);
      if (!entry->second.empty()) config.class_name = entry->second;
      RETURN_IF_ERROR(AddFolder(folder, config));
      index->components.erase(entry);
    }
    for (const auto& [folder, class_name] : index->components) {
      const std::string_view type = TypeOfClass(class_name);
      if (type.empty()) continue;
      const std::string what = fmt::format("{} has no weights here", class_name);
      // Pipelines run without it.
      if (type == "safety_checker") {
        Warn(folder, what);
      } else {
        AddFinding(FindingOf(
            Error(ErrorCode::kIncompleteModel, what + "; download the model again"), folder));
      }
    }
    TakeOver(IdentifyPipeline(index->pipeline, pipeline_parts_));
    return OkStatus();
  }

  // An Ollama manifest and its blobs: a component per layer of tensors.
  Status AddOllamaModel() {
    if (model_.files.empty()) return Error(ErrorCode::kInvalidRequest, "no Ollama manifest");
    const std::string& path = model_.files.front().path;
    ASSIGN_OR_RETURN(const std::string json, ReadText(path, kMaxConfigBytes));
    const auto layers = ParseOllamaManifest(json);
    if (!layers.ok()) return Note(layers.status(), path);
    std::map<std::string_view, int> count;
    for (const OllamaLayer& layer : *layers) {
      std::string blob = "blobs/" + layer.blob;
      if (!sighted_.contains(blob) && sighted_.contains("blobs/" + layer.old_blob)) {
        blob = "blobs/" + layer.old_blob;
      }
      const Status status = CheckBlob(layer, blob);
      if (!status.ok()) {
        RETURN_IF_ERROR(Note(status, blob));
        continue;
      }
      const std::string_view component = layer.component();
      if (component.empty()) continue;
      ASSIGN_OR_RETURN(std::optional<FilePart> part, AddWeights(blob));
      if (!part) continue;
      if (component == "model" && count[component] == 0) {
        TakeOver(IdentifyParts({&*part, 1}, {}, ""));
      }
      const int number = ++count[component];
      const std::string name =
          number == 1 ? std::string(component) : fmt::format("{}_{}", component, number);
      AddWhole(name, std::string(component == "adapter" ? "lora" : component), {&*part, 1});
    }
    return OkStatus();
  }

  // That a layer's blob is there as a whole.
  Status CheckBlob(const OllamaLayer& layer, const std::string& blob) const {
    const auto sighted = sighted_.find(blob);
    if (sighted == sighted_.end()) {
      return Error(ErrorCode::kIncompleteModel,
                   "the manifest lists it and it is not there; pull the model again");
    }
    const uint64_t size = sighted->second->identity.size;
    if (size == layer.size) return OkStatus();
    return Error(size < layer.size ? ErrorCode::kIncompleteModel : ErrorCode::kCorruptedModel,
                 fmt::format("it has {} bytes, where the manifest says {}; pull the model again",
                             size, layer.size));
  }

  // What a component's own configuration says of it should be what the pipeline says.
  void CheckClass(const std::string& folder, const std::string& in_index,
                  const std::string& in_config) {
    const std::string_view type = TypeOfClass(in_index);
    const std::string_view own_type = TypeOfClass(in_config);
    // A language model may serve as text encoder.
    if (type.empty() || own_type.empty() || type == own_type || own_type == "llm") return;
    Warn(folder, fmt::format("model_index.json says that it is {}, its config.json {}", in_index,
                             in_config));
  }

  // Each set of weights in a folder (empty: the model's own) is a component: the
  // folder's name is that of the one which is loaded by default, name.variant of the
  // others. A set with a broken file is left out, and a finding says why.
  Status AddFolder(const std::string& folder, const ModelConfig& config) {
    const std::string prefix = folder.empty() ? "" : folder + "/";
    const std::string name = folder.empty() ? "model" : folder;
    std::vector<std::string> names;
    for (const ManifestFile& file : model_.files) {
      if (!file.path.starts_with(prefix)) continue;
      std::string base = file.path.substr(prefix.size());
      if (IsBareName(base)) names.push_back(std::move(base));
    }
    std::map<std::string, StatusOr<ShardIndex>> indexes;
    auto sets = GroupWeights(names, [&](const std::string& index_name) {
      const auto& index =
          indexes.insert_or_assign(index_name, ReadShardIndex(prefix + index_name)).first->second;
      return index.ok() ? index->shards : std::vector<std::string>();
    });
    std::map<std::string, std::optional<FilePart>> singles;
    RETURN_IF_ERROR(PreferSingleFiles(prefix, indexes, sets, singles));
    const auto labels = VariantLabels(sets);
    for (size_t i = 0; i < sets.size(); ++i) {
      const WeightSet& set = sets[i];
      std::vector<FilePart> parts;
      bool whole = true;
      if (set.index.empty()) {
        for (const std::string& file : set.files) {
          std::optional<FilePart> part;
          if (const auto read = singles.find(file); read != singles.end()) {
            part = std::move(read->second);
          } else {
            ASSIGN_OR_RETURN(part, AddWeights(prefix + file));
          }
          whole = whole && part.has_value();
          if (part) parts.push_back(*std::move(part));
        }
        if (set.sharded()) {
          ASSIGN_OR_RETURN(whole, CheckParts(prefix, set, parts));
        }
      } else if (const StatusOr<ShardIndex>& index = indexes.at(set.index); index.ok()) {
        ASSIGN_OR_RETURN(whole, AddShards(prefix, set, *index, parts));
      } else {
        RETURN_IF_ERROR(Note(index.status(), prefix + set.index));
        whole = false;
      }
      if (!whole || parts.empty()) continue;
      Identification identification = IdentifyParts(parts, config, folder);
      const bool by_default = labels[i].empty();
      AddWhole(by_default ? name : name + "." + labels[i], identification.type, parts);
      if (!by_default) continue;
      if (model_.layout != ModelLayout::kDiffusers) {
        TakeOver(identification);
      } else {
        for (std::string& each : identification.disagreements) Warn(name, std::move(each));
        pipeline_parts_.push_back({identification.type, std::move(identification)});
      }
    }
    return OkStatus();
  }

  void AddWhole(const std::string& name, std::string type, std::span<const FilePart> parts) {
    ComponentManifest component = MakeWholeComponent(name, std::move(type), manifest_.files, parts);
    if (component.tensor_count != 0) manifest_.components.push_back(std::move(component));
  }

  Identification IdentifyParts(std::span<const FilePart> parts, const ModelConfig& config,
                               std::string_view folder) const {
    std::vector<const TensorTable*> tensors;
    for (const FilePart& part : parts) tensors.push_back(&part.contents.tensors);
    return Identify({.tensors = tensors,
                     .format = manifest_.format,
                     .metadata = &parts.front().contents.metadata,
                     .file_name = BaseName(manifest_.files[parts.front().files.front()].path),
                     .class_name = config.class_name,
                     .model_type = config.model_type,
                     .folder = folder,
                     .adapter_base = adapter_.base_model,
                     .peft_type = adapter_.peft_type});
  }

  void TakeOver(const Identification& identification) {
    manifest_.kind = identification.kind;
    // What nothing inside tells, the folder that its user chose may.
    if (manifest_.kind == "model") {
      const std::string_view kind = KindOfFolder(model_.folder_kind);
      if (!kind.empty()) manifest_.kind = kind;
    }
    manifest_.architectures = identification.architectures;
    manifest_.requires_models = identification.requires_models;
    for (const std::string& each : identification.disagreements) Warn("", each);
  }

  StatusOr<ShardIndex> ReadShardIndex(const std::string& path) {
    ASSIGN_OR_RETURN(const std::string json, ReadText(path, kMaxShardIndexBytes));
    auto index = ParseShardIndex(json);
    if (!index.ok()) return Annotate(index.status(), path);
    if (index->shards.empty()) {
      return Error(ErrorCode::kCorruptedModel, fmt::format("{}: it names no file", path));
    }
    return index;
  }

  // Every tensor is where the index says, and each name is given out once. False
  // when a shard can't be used or a tensor is missing: findings say so.
  StatusOr<bool> AddShards(const std::string& prefix, const WeightSet& set, const ShardIndex& index,
                           std::vector<FilePart>& parts) {
    const std::string& index_name = set.index;
    RETURN_IF_ERROR(CheckUnlisted(prefix, set, index));
    std::unordered_map<std::string_view, uint32_t> expected;
    expected.reserve(index.weight_map.size());
    for (const auto& [tensor, shard] : index.weight_map) expected.emplace(tensor, shard);

    bool whole = true;
    for (uint32_t shard = 0; shard < index.shards.size(); ++shard) {
      const std::string path = prefix + index.shards[shard];
      ASSIGN_OR_RETURN(std::optional<FilePart> part, AddWeights(path));
      if (!part) {
        whole = false;
        continue;
      }
      TensorTable& found = part->contents.tensors;
      TensorTable listed;
      for (size_t i = 0; i < found.size(); ++i) {
        const TensorView tensor = found[i];
        const auto entry = expected.find(tensor.name);
        if (entry != expected.end() && entry->second == shard) {
          expected.erase(entry);
          RETURN_IF_ERROR(listed.Add(tensor));
        } else {
          Warn(path, fmt::format("tensor '{}' is not listed for this file in {}; it is left out",
                                 tensor.name, index_name));
        }
      }
      found = std::move(listed);
      parts.push_back(*std::move(part));
    }
    if (expected.empty() || !whole) return whole;
    const auto& [tensor, shard] = *expected.begin();
    RETURN_IF_ERROR(Note(
        Error(ErrorCode::kCorruptedModel, fmt::format("tensor '{}' is not in {} ({} such)", tensor,
                                                      index.shards[shard], expected.size())),
        prefix + index_name));
    return false;
  }

  // Shards of the set that the index names others of.
  Status CheckUnlisted(const std::string& prefix, const WeightSet& set, const ShardIndex& index) {
    const UnlistedShards unlisted = FindUnlistedShards(set, index);
    for (const std::string& shard : unlisted.present) {
      RETURN_IF_ERROR(Note(
          Error(ErrorCode::kIncompleteModel,
                fmt::format("{} leaves it out and names others of its set, so that a part of the "
                            "model would be missing; download the index again, or remove this "
                            "file if it belongs to another model",
                            set.index)),
          prefix + shard));
    }
    if (!unlisted.absent.empty()) {
      Warn(prefix + set.index,
           fmt::format("it does not name {} ({} such), which the numbers in the names of its "
                       "shards promise and which is not there",
                       unlisted.absent.front(), unlisted.absent.size()));
    }
    return OkStatus();
  }

  // Whole files that stand beside shards of the same stem are used in place of these:
  // where the shards are not whole, and always in a folder of the transformers library,
  // which looks for the file first. A save over an older, sharded one leaves both.
  // What was read of the files is left in `singles`.
  Status PreferSingleFiles(const std::string& prefix,
                           const std::map<std::string, StatusOr<ShardIndex>>& indexes,
                           std::vector<WeightSet>& sets,
                           std::map<std::string, std::optional<FilePart>>& singles) {
    for (size_t i = 0; i < sets.size();) {
      const WeightSet& set = sets[i];
      const Status index = set.index.empty() ? OkStatus() : indexes.at(set.index).status();
      const bool replaceable =
          set.sharded() && IsLibraryStem(set.stem) && CodeOf(index) != ErrorCode::kUnsafeModel;
      const size_t single = replaceable ? FindSingleFile(sets, set) : sets.size();
      const bool whole = set.missing_count == 0 && index.ok();
      if (single == sets.size() || (whole && model_.layout == ModelLayout::kDiffusers)) {
        ++i;
        continue;
      }
      const std::string& file = sets[single].files.front();
      if (!singles.contains(file)) {
        ASSIGN_OR_RETURN(singles[file], AddWeights(prefix + file));
      }
      if (!singles[file]) {
        ++i;
        continue;
      }
      const std::string& what = set.index.empty() ? set.files.front() : set.index;
      if (!index.ok()) {
        Warn(prefix + what, fmt::format("{}; {} is used", Message(index), file));
      } else if (set.missing_count != 0) {
        Warn(prefix + what, fmt::format("it belongs to a set of which {} is not there ({} such); "
                                        "{} is used",
                                        set.first_missing, set.missing_count, file));
      } else {
        Warn(prefix + what, fmt::format("it belongs to a set of shards beside {}, which the "
                                        "transformers library loads first and which is used",
                                        file));
      }
      sets.erase(sets.begin() + static_cast<ptrdiff_t>(i));
    }
    return OkStatus();
  }

  // Whether numbered parts are all there and fit each other: a finding says why not.
  StatusOr<bool> CheckParts(const std::string& prefix, const WeightSet& set,
                            std::span<FilePart> parts) {
    if (set.missing_count != 0) {
      RETURN_IF_ERROR(
          Note(Error(ErrorCode::kIncompleteModel,
                     fmt::format("{} is not there ({} of {} parts are missing); download it again",
                                 set.first_missing, set.missing_count,
                                 set.missing_count + set.files.size())),
               prefix + set.first_missing));
      return false;
    }
    if (parts.size() < set.files.size()) return false;
    if (set.suffix != ".gguf") {
      ASSIGN_OR_RETURN(const std::vector<std::string> twice, KeepLastOfEqualNames(parts));
      if (!twice.empty()) {
        Warn(prefix + set.files.front(),
             fmt::format("tensor '{}' ({} such) is in two shards and no index says which counts; "
                         "the last is used, as loaders do",
                         twice.front(), twice.size()));
      }
      return true;
    }
    std::vector<const FileContents*> contents;
    for (const FilePart& part : parts) contents.push_back(&part.contents);
    const Status status = CheckGgufParts(contents);
    if (!status.ok()) RETURN_IF_ERROR(Note(status, prefix + set.files.front()));
    return status.ok();
  }

  // A file on its own may be one part of a split one.
  Status CheckNotAlone(const std::string& path, const FileContents& file) {
    const uint64_t count = GgufPartCount(file);
    // What is incomplete by itself says what to do already.
    if (count == 1 || manifest_.verdict() == Verdict::kIncomplete) return OkStatus();
    FilesBeside beside(*this, path);
    const Status status = FindOtherGgufParts(BaseName(path), file, beside);
    if (!status.ok()) return Note(status, path);
    Warn(path, fmt::format("it is one of {} parts; the model needs all of them", count));
    return OkStatus();
  }

  // Reads one weights file and adds it, and the files that it names, to the
  // manifest's files. Nothing when it can't be used: a finding says why.
  StatusOr<std::optional<FilePart>> AddWeights(const std::string& path) {
    const auto opened = Open(path);
    if (!opened.ok()) {
      RETURN_IF_ERROR(Note(opened.status(), path));
      return std::nullopt;
    }
    const ManifestFile& sighted = *sighted_.at(path);
    FileSource source(opened->get(), sighted.identity.size);
    FilePart part;
    FilesBeside others(*this, path);
    const Status status = ReadWith(source, path, others, part.contents);
    RETURN_IF_ERROR(CheckUnchanged(opened->get(), sighted));
    part.files.push_back(AddFile(sighted));
    for (const ManifestFile& file : others.Files(part.contents.other_files)) {
      part.files.push_back(AddFile(file));
    }
    for (Finding& finding : part.contents.findings) {
      if (finding.path.empty()) finding.path = path;
      AddFinding(std::move(finding));
    }
    for (UnplacedTensor& tensor : UnplacedTensors(part)) {
      manifest_.unplaced.push_back(std::move(tensor));
    }
    AddOperators(part.contents.operators);
    if (status.ok()) {
      RETURN_IF_ERROR(WarnOfHoles(opened->get(), source, path));
      return part;
    }
    RETURN_IF_ERROR(Note(status, path));
    // What is unsafe or unsupported for others may still be tensors for us.
    const Verdict verdict = FindingOf(status, path).verdict;
    const bool readable = verdict != Verdict::kCorrupt || part.contents.tensors_are_whole;
    const bool listed = readable && !part.contents.tensors.empty();
    return listed ? std::optional(std::move(part)) : std::nullopt;
  }

  // A downloader may give a file its full size before it has its content.
  Status WarnOfHoles(int fd, ByteSource& source, const std::string& path) {
    constexpr uint64_t kNoticed = kMiB;
    ASSIGN_OR_RETURN(const uint64_t on_disk, os::BytesOnDisk(fd));
    if (source.size() < kNoticed || on_disk > source.size() - kNoticed) return OkStatus();
    std::vector<std::byte> tail(std::min<uint64_t>(source.size(), 64 * kKiB));
    RETURN_IF_ERROR(source.Read(source.size() - tail.size(), tail));
    if (!AreZeros(tail)) return OkStatus();
    Warn(path, fmt::format("{} of its {} bytes are on the disk and its end is a hole, as in a "
                           "download that was not finished; download it again if it does not work",
                           on_disk, source.size()));
    return OkStatus();
  }

  Status ReadWith(ByteSource& source, const std::string& path, OtherFiles& others,
                  FileContents& contents) {
    std::vector<std::byte> first(std::min<uint64_t>(kFileStartBytes, source.size()));
    RETURN_IF_ERROR(source.Read(0, first));
    const FileStart start{.name = BaseName(path), .bytes = first, .file_size = source.size()};
    RETURN_IF_ERROR(CheckNoStandIn(start));
    const FormatReader* reader = RecogniseFormat(start);
    if (reader == nullptr) {
      return Error(ErrorCode::kUnrecognizedFormat, "it is of no format that is known here");
    }
    if (source.size() == 0) return CutOffWithin(0, "");
    if (!first.empty() && AreZeros(first)) {
      return Error(
          ErrorCode::kCorruptedModel,
          fmt::format("it holds zeros (its first {} bytes of {}) and no model: nothing was "
                      "written to it; download it again",
                      first.size(), source.size()));
    }
    if (manifest_.format.empty()) manifest_.format = reader->format();
    const Status status = reader->Read(source, others, contents);
    if (manifest_.format_version.empty()) manifest_.format_version = contents.format_version;
    if (manifest_.version.empty()) manifest_.version = VersionIn(contents.metadata);
    return status;
  }

  uint32_t AddFile(const ManifestFile& file) {
    manifest_.files.push_back(file);
    return static_cast<uint32_t>(manifest_.files.size() - 1);
  }

  void AddOperators(const std::vector<OperatorUse>& operators) {
    manifest_.operators.insert(manifest_.operators.end(), operators.begin(), operators.end());
  }

  // Empty when there is none. A config that can't be read leaves the weights as
  // good as they are.
  ModelConfig ReadConfig(const std::string& path) {
    if (!sighted_.contains(path)) return {};
    const auto json = ReadText(path, kMaxConfigBytes);
    auto config = json.ok() ? ParseModelConfig(*json) : json.status();
    if (!config.ok()) {
      Warn(path, std::string(Message(config.status())));
      return {};
    }
    WarnOfCode(path, config->code_settings);
    return *std::move(config);
  }

  AdapterConfig ReadAdapterConfig() {
    const std::string path(kAdapterConfigName);
    if (!sighted_.contains(path)) return {};
    const auto json = ReadText(path, kMaxConfigBytes);
    auto config = json.ok() ? ParseAdapterConfig(*json) : json.status();
    if (config.ok()) return *std::move(config);
    Warn(path, std::string(Message(config.status())));
    return {};
  }

  void WarnOfCode(const std::string& path, const std::vector<std::string>& settings) {
    for (const std::string& setting : settings) {
      AddFinding({.path = path,
                  .category = FindingCategory::kUnsafeContent,
                  .message = fmt::format("{} asks the library that loads this model to run code "
                                         "from its repository; Warmset never does, and the weights "
                                         "are not affected; read that code before you allow it",
                                         setting)});
    }
  }

  StatusOr<std::string> ReadText(const std::string& path, size_t max_bytes) {
    ASSIGN_OR_RETURN(const os::UniqueFd fd, Open(path));
    if (const uint64_t bytes = sighted_.at(path)->identity.size; bytes > max_bytes) {
      return Error(ErrorCode::kCorruptedModel,
                   fmt::format("it has {} bytes; no model's file of this kind has more than {}; "
                               "download it again",
                               bytes, max_bytes));
    }
    auto text = os::ReadSmallFile(fd.get(), max_bytes);
    RETURN_IF_ERROR(CheckUnchanged(fd.get(), *sighted_.at(path)));
    if (!text.ok()) return Annotate(text.status(), path);
    return text;
  }

  StatusOr<os::UniqueFd> Open(const std::string& path) {
    const auto sighted = sighted_.find(path);
    if (sighted == sighted_.end()) {
      return Error(ErrorCode::kIncompleteModel,
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

  // Sources of the files that one file names.
  class FilesBeside final : public OtherFiles {
   public:
    FilesBeside(Inspection& inspection, const std::string& path)
        : inspection_(inspection), folder_(path.substr(0, path.rfind('/') + 1)) {}

    StatusOr<ByteSource*> Open(const std::string& path) override {
      const auto known = opened_.find(path);
      if (known != opened_.end()) return known->second.source.get();
      Opened file;
      file.file.path = folder_ + path;
      if (const auto sighted = inspection_.sighted_.find(file.file.path);
          sighted != inspection_.sighted_.end()) {
        ASSIGN_OR_RETURN(file.fd, inspection_.Open(file.file.path));
        file.file = *sighted->second;
      } else {
        ASSIGN_OR_RETURN(file.fd, inspection_.provider_.OpenOther(file.file.path));
        ASSIGN_OR_RETURN(file.file.identity, os::Identify(file.fd.get()));
      }
      file.source = std::make_unique<FileSource>(file.fd.get(), file.file.identity.size);
      return opened_.emplace(path, std::move(file)).first->second.source.get();
    }

    // REQUIRES: each was opened.
    std::vector<ManifestFile> Files(const std::vector<std::string>& paths) const {
      std::vector<ManifestFile> files;
      for (const std::string& path : paths) files.push_back(opened_.at(path).file);
      return files;
    }

   private:
    struct Opened {
      ManifestFile file;
      os::UniqueFd fd;
      std::unique_ptr<ByteSource> source;
    };
    Inspection& inspection_;
    const std::string folder_;
    std::map<std::string, Opened> opened_;
  };

  // An error about the model's content becomes a finding; others are returned.
  Status Note(const Status& error, const std::string& path) {
    switch (CodeOf(error)) {
      case ErrorCode::kFileChanged:
      case ErrorCode::kIoError:
      case ErrorCode::kPermissionDenied:  // the user's own doing, and mended without a trace
      case ErrorCode::kInvalidRequest:
      case ErrorCode::kInternal:
        return path.empty() ? error : Annotate(error, path);
      default:
        AddFinding(FindingOf(error, path));
        return OkStatus();
    }
  }

  void Warn(std::string path, std::string message) {
    AddFinding({.path = std::move(path), .message = std::move(message)});
  }

  // The worst are kept when there are too many.
  void AddFinding(Finding finding) {
    finding.message = Shortened(std::move(finding.message));
    auto& findings = manifest_.findings;
    if (findings.size() < kMaxFindings) {
      findings.push_back(std::move(finding));
    } else if (finding.verdict > manifest_.verdict()) {
      findings.back() = std::move(finding);
    }
  }

  const ModelFiles& model_;
  FileProvider& provider_;
  std::map<std::string, const ManifestFile*> sighted_;  // by path
  AdapterConfig adapter_;  // beside an adapter's weights
  std::string class_name_;  // as the model's own configuration says it
  std::vector<PipelinePart> pipeline_parts_;
  Manifest manifest_;
};

}  // namespace

StatusOr<std::string> InspectModel(const ModelFiles& model, FileProvider& provider) {
  ASSIGN_OR_RETURN(Manifest manifest, Inspection(model, provider).Run());
  uint64_t bytes = 0;
  for (const ComponentManifest& component : manifest.components) {
    bytes += component.tensor_index.size();
  }
  if (bytes > kMaxTensorIndexBytes) {
    manifest.components.clear();
    manifest.unplaced.clear();
    manifest.findings.push_back(FindingOf(
        Error(ErrorCode::kUnsupportedFormat,
              fmt::format("its list of tensors takes {} bytes, of which {} are read; it may be "
                          "whole: use it without Warmset",
                          bytes, kMaxTensorIndexBytes)),
        ""));
  }
  return EncodeManifest(manifest);
}

}  // namespace warmset
