#include "inspect/dduf/reader.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/model_config.h"
#include "inspect/problems.h"
#include "inspect/pytorch/forms.h"
#include "inspect/pytorch/reader.h"
#include "inspect/safetensors/reader.h"
#include "inspect/shard_index.h"
#include "inspect/shown.h"
#include "inspect/weight_sets.h"
#include "inspect/zip/zip_content.h"
#include "inspect/zip/zip_directory.h"

namespace warmset {
namespace {

constexpr std::string_view kIndexName = "model_index.json";
constexpr std::string_view kWeightsEnding = ".safetensors";
constexpr std::string_view kShardIndexEnding = ".safetensors.index.json";
constexpr std::array<std::string_view, 4> kEndings = {".json", ".model", ".safetensors", ".txt"};
// Each folder has one of them.
constexpr std::array<std::string_view, 4> kConfigNames = {
    "config.json", "tokenizer_config.json", "preprocessor_config.json", "scheduler_config.json"};
constexpr uint64_t kMaxJsonBytes = 64 * kMiB;

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

std::string_view FolderOf(std::string_view name) {
  const size_t slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}
std::string_view BaseOf(std::string_view name) { return name.substr(name.rfind('/') + 1); }

bool IsAllowed(std::string_view name) {
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

// One archive. Used once.
class Pipeline {
 public:
  Pipeline(ByteSource& file, OtherFiles& others, FileContents& contents, Problems& problems)
      : file_(file), others_(others), contents_(contents), problems_(problems) {}

  Status Read() {
    ASSIGN_OR_RETURN(directory_, ReadZipDirectory(file_));
    const bool whole = directory_.problems.empty();
    for (Status& problem : directory_.problems) problems_.Add(std::move(problem));
    for (const ZipEntry& entry : directory_.entries) {
      if (entry.is_folder()) continue;
      by_name_.emplace(entry.name, &entry);
      CheckEntry(entry);
    }
    RETURN_IF_ERROR(LookThroughZip(file_, problems_));
    if (directory_.cut_off) {
      problems_.ForgetCorruption();
      return OkStatus();
    }
    // Entries that overlap could be far more than the file.
    if (!whole) return OkStatus();
    RETURN_IF_ERROR(ReadIndex());
    for (const ZipEntry& entry : directory_.entries) {
      if (!IsAllowed(entry.name)) {
        RETURN_IF_ERROR(LookThrough(entry));
      } else if (entry.name.ends_with(kWeightsEnding) && entry.method == kZipStored) {
        RETURN_IF_ERROR(ReadWeights(entry));
      }
    }
    for (const auto& [name, entry] : by_name_) {
      if (name.ends_with(kShardIndexEnding)) RETURN_IF_ERROR(CheckShards(*entry));
    }
    if (contents_.tensors.empty() && problems_.empty()) {
      problems_.Add(Error(ErrorCode::kIncompleteModel, "no weights are in it; download it again"));
    }
    return OkStatus();
  }

 private:
  void CheckEntry(const ZipEntry& entry) {
    const auto note = [&](std::string_view what) {
      problems_.Add(AtOffset(Corrupt(fmt::format("entry '{}' {}", Shown(entry.name), what)),
                             entry.header_offset));
    };
    if (!IsAllowed(entry.name)) note("is of a kind that DDUF does not allow");
    if (entry.method != kZipStored) note("is compressed, which DDUF does not allow");
    if (std::count(entry.name.begin(), entry.name.end(), '/') > 1) {
      note("lies in more than one folder, which DDUF does not allow");
    }
  }

  Status ReadIndex() {
    const auto found = by_name_.find(kIndexName);
    if (found == by_name_.end()) {
      problems_.Add(Corrupt("it has no model_index.json"));
      return OkStatus();
    }
    ASSIGN_OR_RETURN(const std::string json, TextOf(*found->second));
    const auto index = ParseModelIndex(json);
    if (!index.ok()) {
      problems_.Add(Annotate(index.status(), kIndexName));
      return OkStatus();
    }
    contents_.metadata["_class_name"] = index->pipeline;
    std::set<std::string_view> folders;
    for (const auto& [name, entry] : by_name_) {
      if (const std::string_view folder = FolderOf(name); !folder.empty()) folders.insert(folder);
    }
    for (const std::string_view folder : folders) {
      const auto component = index->components.find(std::string(folder));
      if (component == index->components.end()) {
        problems_.Add(
            Corrupt(fmt::format("model_index.json does not name folder '{}'", Shown(folder))));
        continue;
      }
      contents_.metadata[component->first] = component->second;
      const bool configured =
          std::any_of(kConfigNames.begin(), kConfigNames.end(), [&](std::string_view config) {
            return by_name_.contains(fmt::format("{}/{}", folder, config));
          });
      if (!configured) {
        problems_.Add(Corrupt(fmt::format("folder '{}' has no configuration", Shown(folder))));
      }
    }
    return OkStatus();
  }

  Status ReadWeights(const ZipEntry& entry) {
    SourcePart part(file_, entry.data_offset, entry.stored_bytes);
    FileContents inner;
    const Status status = SafetensorsReader().Read(part, others_, inner);
    if (CodeOf(status) == ErrorCode::kIoError) return status;
    if (!status.ok()) {
      const Status problem = Annotate(status, Shown(entry.name));
      problems_.Add(OffsetOf(status) ? AtOffset(Error(CodeOf(status), Message(problem)),
                                                entry.data_offset + *OffsetOf(status))
                                     : AtOffset(problem, entry.data_offset));
      return OkStatus();
    }
    for (Finding& finding : inner.findings) {
      finding.message = fmt::format("{}: {}", Shown(entry.name), finding.message);
      if (finding.offset) *finding.offset += entry.data_offset;
      contents_.findings.push_back(std::move(finding));
    }
    std::string name(FolderOf(entry.name));
    if (!name.empty()) name += '/';
    const size_t prefix = name.size();
    auto& listed = listed_[entry.name];
    for (size_t i = 0; i < inner.tensors.size(); ++i) {
      TensorView tensor = inner.tensors[i];
      name.resize(prefix);
      name += tensor.name;
      listed.emplace(tensor.name);
      if (!names_.insert(name).second) {
        ++left_out_;
        continue;
      }
      tensor.name = name;
      tensor.offset += entry.data_offset;
      RETURN_IF_ERROR(contents_.tensors.Add(tensor));
    }
    if (left_out_ != 0 && std::exchange(said_left_out_, true) == false) {
      contents_.findings.push_back(
          {.path = "",
           .message = fmt::format("{} has tensors that another file of its folder has as well; "
                                  "they are left out",
                                  Shown(entry.name))});
    }
    return OkStatus();
  }

  // Every shard is there, and has the tensors that its index says.
  Status CheckShards(const ZipEntry& entry) {
    ASSIGN_OR_RETURN(const std::string json, TextOf(entry));
    const auto index = ParseShardIndex(json);
    if (!index.ok()) {
      problems_.Add(Annotate(index.status(), Shown(entry.name)));
      return OkStatus();
    }
    const std::string folder =
        entry.name.substr(0, entry.name.size() - BaseOf(entry.name).size());
    std::vector<const std::unordered_set<std::string>*> shards;
    for (const std::string& shard : index->shards) {
      const auto found = listed_.find(folder + shard);
      shards.push_back(found == listed_.end() ? nullptr : &found->second);
      if (by_name_.contains(folder + shard)) continue;
      problems_.Add(Error(ErrorCode::kIncompleteModel,
                          fmt::format("{} names {}, which is not in the archive",
                                      Shown(entry.name), Shown(shard))));
    }
    for (const auto& [tensor, shard] : index->weight_map) {
      if (shards[shard] == nullptr || shards[shard]->contains(tensor)) continue;
      problems_.Add(Corrupt(fmt::format("{}: tensor '{}' is not in {}", Shown(entry.name),
                                        Shown(tensor), Shown(index->shards[shard]))));
      break;
    }
    return OkStatus();
  }

  // What does not belong there may still be loaded by somebody.
  Status LookThrough(const ZipEntry& entry) {
    if (entry.method != kZipStored || entry.is_folder()) return OkStatus();
    SourcePart part(file_, entry.data_offset, entry.stored_bytes);
    FileContents inner;
    const Status status = PytorchReader().Read(part, others_, inner);
    if (CodeOf(status) == ErrorCode::kIoError) return status;
    if (CodeOf(status) == ErrorCode::kUnsafeModel) {
      problems_.Add(Annotate(status, Shown(entry.name)));
    }
    return OkStatus();
  }

  StatusOr<std::string> TextOf(const ZipEntry& entry) {
    auto content = ZipContent::Open(file_, entry);
    if (!content.ok()) {
      if (CodeOf(content.status()) != ErrorCode::kUnsupportedFormat) return content.status();
      return std::string();  // its method was noted
    }
    problems_.Add(content->problem());
    ByteSource& source = content->source();
    return ReadText(source, 0, std::min(source.size(), kMaxJsonBytes));
  }

  ByteSource& file_;
  OtherFiles& others_;
  FileContents& contents_;
  Problems& problems_;
  ZipDirectory directory_;
  std::map<std::string, const ZipEntry*, std::less<>> by_name_;
  std::unordered_map<std::string, std::unordered_set<std::string>> listed_;  // by file
  std::unordered_set<std::string> names_;
  uint64_t left_out_ = 0;
  bool said_left_out_ = false;
};

}  // namespace

FormatReader::Match DdufReader::Recognise(const FileStart& start) const {
  const bool named = EndsWithIgnoreCase(start.name, ".dduf");
  const std::string first = FirstZipEntryName(start.bytes);
  if (first == kIndexName) return Match::kByContent;
  if (named && !first.empty() && BaseOf(first) != "data.pkl") return Match::kByContent;
  return named ? Match::kByName : Match::kNo;
}

Status DdufReader::Read(ByteSource& file, OtherFiles& others, FileContents& contents) const {
  Problems problems;
  RETURN_IF_ERROR(Pipeline(file, others, contents, problems).Read());
  return std::move(problems).Report(contents);
}

}  // namespace warmset
