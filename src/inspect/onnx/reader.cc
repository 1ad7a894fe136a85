#include "inspect/onnx/reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/onnx/external_data.h"
#include "inspect/onnx/function_calls.h"
#include "inspect/onnx/graph_reader.h"
#include "inspect/onnx/model_start.h"
#include "inspect/onnx/read_state.h"
#include "inspect/onnx/runtime_profiles.h"
#include "inspect/onnx/tensor_reader.h"
#include "inspect/onnx/wire.h"
#include "inspect/weight_sets.h"

namespace warmset {
namespace {

using onnx::Domain;
using onnx::OpsetImports;
using onnx::Problems;
using onnx::Shown;

constexpr int64_t kFirstIrWithOpsets = 3;
constexpr int64_t kFirstIrWithFunctionDomains = 8;
constexpr size_t kMaxMetadataBytes = 1 * kMiB;  // of all of it; what is longer is left out
constexpr size_t kMaxTrainingInfos = 1000;

// Reads one file. Used once.
class ModelReader {
 public:
  ModelReader(ByteSource& file, OtherFiles& others, FileContents& contents)
      : source_(file),
        contents_(contents),
        problems_(contents),
        external_(others, contents),
        tensors_(source_, external_, problems_),
        graphs_(source_, tensors_, calls_, problems_, budget_, contents) {}

  Status Read() {
    Status ending = ReadModel();
    graphs_.ListOperators();
    for (Finding& finding : CheckOperators(contents_.operators, kDefaultProfile)) {
      contents_.findings.push_back(std::move(finding));
    }
    const Status unique = MakeNamesUnique();
    if (ending.ok()) ending = unique;
    if (!ending.ok() && CodeOf(ending) != ErrorCode::kUnsupportedFormat) return ending;
    if (!ending.ok()) problems_.Add(ending);
    return problems_.worst();
  }

 private:
  struct Function {
    WireSpan span;
    std::optional<onnx::FunctionCalls::Id> id = std::nullopt;  // none: it is there twice
    std::string prefix = "";
    OpsetImports opsets = {};
  };

  Status ReadModel() {
    RETURN_IF_ERROR(ReadHead());
    RETURN_IF_ERROR(CheckVersions());
    for (Function& function : functions_) RETURN_IF_ERROR(ReadFunctionHead(function));
    if (graph_) {
      RETURN_IF_ERROR(graphs_.ReadMainGraph(*graph_, opsets_));
    } else {
      Broken(0, "it has no graph");
    }
    for (const Function& function : functions_) {
      if (function.id) {
        calls_.EnterBody(*function.id);
      } else {
        calls_.EnterGraph();
      }
      RETURN_IF_ERROR(graphs_.ReadFunction(function.span, function.opsets, function.prefix));
    }
    RETURN_IF_ERROR(ReadTraining());
    return problems_.Note(calls_.Check());
  }

  // All of the ModelProto but what is in its graphs and functions.
  Status ReadHead() {
    WireMessage fields(source_, {0, source_.size()});
    while (fields.Next()) {
      const WireField& field = fields.field();
      const bool is_bytes = field.type == WireType::kBytes;
      switch (field.number) {
        case 1:
          if (field.type == WireType::kVarint) ir_version_ = static_cast<int64_t>(field.value);
          break;
        case 2:
          if (is_bytes) RETURN_IF_ERROR(AddMetadata("producer_name", field.content));
          break;
        case 3:
          if (is_bytes) RETURN_IF_ERROR(AddMetadata("producer_version", field.content));
          break;
        case 4:
          if (is_bytes) RETURN_IF_ERROR(AddMetadata("domain", field.content));
          break;
        case 7:
          if (!is_bytes) break;
          if (graph_) Broken(field.offset, "it has two graphs");
          graph_ = field.content;
          break;
        case 8:
          has_opsets_ = has_opsets_ || is_bytes;
          if (is_bytes) RETURN_IF_ERROR(ReadOpset(field.content, opsets_));
          break;
        case 14:
          if (is_bytes) RETURN_IF_ERROR(ReadMetadataEntry(field));
          break;
        case 20:
          if (!is_bytes) break;
          if (training_.size() == kMaxTrainingInfos) {
            return Problems::Limit(
                fmt::format("it has more than {} training_info", kMaxTrainingInfos));
          }
          training_.push_back(field.content);
          break;
        case 25:
          if (!is_bytes) break;
          if (functions_.size() == onnx::kMaxFunctions) {
            return Problems::Limit(
                fmt::format("it has more than {} functions", onnx::kMaxFunctions));
          }
          functions_.push_back({.span = field.content});
          break;
        default:
          break;
      }
    }
    // What is missing behind it is no fault of its own.
    if (CodeOf(fields.status()) == ErrorCode::kIncompleteModel) return fields.status();
    return problems_.Note(fields.status());
  }

  Status CheckVersions() {
    contents_.format_version = std::to_string(ir_version_);
    graphs_.set_ir_version(ir_version_);
    if (ir_version_ <= 0) {
      Broken(0, fmt::format("its ir_version is {}", ir_version_));
    } else if (ir_version_ > kMaxOnnxIrVersion) {
      Unsupported(
          fmt::format("it is of IR version {}, up to {} are read (onnx 1.23); save it "
                      "with an older ir_version, or update Warmset",
                      ir_version_, kMaxOnnxIrVersion));
    }
    if (has_opsets_ && ir_version_ < kFirstIrWithOpsets) {
      Broken(0, fmt::format("it has opset_import, which IR version {} does not have", ir_version_));
    } else if (!has_opsets_ && ir_version_ >= kFirstIrWithOpsets) {
      Broken(0, fmt::format("it has no opset_import, which IR version {} asks for", ir_version_));
    }
    if (opsets_.empty()) opsets_.emplace("", 1);
    return OkStatus();
  }

  Status ReadOpset(WireSpan span, OpsetImports& opsets) {
    std::string domain;
    int64_t version = 0;
    WireMessage fields(source_, span);
    while (fields.Next()) {
      const WireField& field = fields.field();
      if (field.Is(1, WireType::kBytes)) {
        if (field.content.size() > kMiB) return Problems::Limit("a domain's name is too long");
        RETURN_IF_ERROR(ReadContent(source_, field.content, domain));
      }
      if (field.Is(2, WireType::kVarint)) version = static_cast<int64_t>(field.value);
    }
    RETURN_IF_ERROR(problems_.Note(fields.status()));
    RETURN_IF_ERROR(budget_.Take(domain.size() + 128));
    const std::string_view name = Domain(domain);
    const std::string shown = name.empty() ? "ai.onnx" : Shown(name);
    if (version <= 0 || version > INT32_MAX) {
      Broken(span.begin, fmt::format("it imports version {} of {}", version, shown));
    } else if (const auto newest = NewestOpset(name); newest && version > *newest) {
      Unsupported(
          fmt::format("it uses version {} of the operators of {}, up to {} are known "
                      "(onnx 1.23); convert it with onnx.version_converter, or update "
                      "Warmset",
                      version, shown, *newest));
    }
    // The checker and ONNX Runtime take both, and the last counts: skl2onnx writes such.
    const auto [known, added] = opsets.emplace(name, version);
    if (!added) {
      problems_.Warn(
          fmt::format("it imports {} twice, with the versions {} and {}; the last counts", shown,
                      known->second, version));
      known->second = version;
    }
    return OkStatus();
  }

  // A key that is there twice breaks a rule, one of the file's own fields' names doesn't.
  Status ReadMetadataEntry(const WireField& entry) {
    std::optional<WireSpan> key_span;
    WireSpan value;
    WireMessage fields(source_, entry.content);
    while (fields.Next()) {
      if (fields.field().Is(1, WireType::kBytes)) key_span = fields.field().content;
      if (fields.field().Is(2, WireType::kBytes)) value = fields.field().content;
    }
    RETURN_IF_ERROR(problems_.Note(fields.status()));
    std::string key;
    if (key_span) {
      if (key_span->size() > kMaxMetadataBytes)
        return Problems::Limit("a metadata key is too long");
      RETURN_IF_ERROR(ReadContent(source_, *key_span, key));
    }
    RETURN_IF_ERROR(budget_.Take(key.size() + 64));
    if (!metadata_keys_.insert(key).second) {
      Broken(entry.offset, fmt::format("its metadata_props have two keys '{}'", Shown(key)));
      return OkStatus();
    }
    return AddMetadata(key, value);
  }

  Status AddMetadata(const std::string& key, WireSpan value) {
    const uint64_t bytes = key.size() + value.size();
    if (bytes > kMaxMetadataBytes - metadata_bytes_) {
      problems_.Warn(fmt::format("its metadata '{}' is too long and left out", Shown(key)));
      return OkStatus();
    }
    metadata_bytes_ += bytes;
    std::string text;
    RETURN_IF_ERROR(ReadContent(source_, value, text));
    contents_.metadata.insert_or_assign(key, std::move(text));
    return OkStatus();
  }

  // Its name and operator sets.
  Status ReadFunctionHead(Function& function) {
    std::string name;
    std::string domain;
    std::string overload;
    bool has_domain = false;
    WireMessage fields(source_, function.span);
    while (fields.Next()) {
      const WireField& field = fields.field();
      if (field.type != WireType::kBytes) continue;
      std::string* text = nullptr;
      if (field.number == 1) text = &name;
      if (field.number == 10) text = &domain;
      if (field.number == 13) text = &overload;
      if (text != nullptr) {
        if (field.content.size() > 64 * kKiB)
          return Problems::Limit("a function's name is too long");
        RETURN_IF_ERROR(ReadContent(source_, field.content, *text));
      }
      has_domain = has_domain || field.number == 10;
      if (field.number == 9) RETURN_IF_ERROR(ReadOpset(field.content, function.opsets));
    }
    RETURN_IF_ERROR(problems_.Note(fields.status()));
    RETURN_IF_ERROR(budget_.Take(2 * (name.size() + domain.size() + overload.size()) + 512));
    if (name.empty()) Broken(function.span.begin, "a function has no name");
    if (!has_domain && ir_version_ >= kFirstIrWithFunctionDomains) {
      Broken(function.span.begin, fmt::format("function '{}' has no domain", Shown(name)));
    }
    const auto added = calls_.AddFunction(Domain(domain), name, overload);
    if (added.ok()) function.id = *added;
    RETURN_IF_ERROR(problems_.Note(AtOffset(added.status(), function.span.begin)));
    function.prefix =
        fmt::format("{}.{}{}{}/", domain, name, overload.empty() ? "" : ":", overload);
    return OkStatus();
  }

  Status ReadTraining() {
    for (size_t i = 0; i < training_.size(); ++i) {
      WireMessage fields(source_, training_[i]);
      while (fields.Next()) {
        const WireField& field = fields.field();
        const bool is_start = field.Is(1, WireType::kBytes);
        if (!is_start && !field.Is(2, WireType::kBytes)) continue;
        RETURN_IF_ERROR(graphs_.ReadTrainingGraph(
            field.content, opsets_,
            fmt::format("training_info/{}/{}/", i, is_start ? "initialization" : "algorithm")));
      }
      RETURN_IF_ERROR(problems_.Note(fields.status()));
    }
    return OkStatus();
  }

  // Names of nodes need not differ, so that those of their tensors may not, either.
  Status MakeNamesUnique() {
    TensorTable& tensors = contents_.tensors;
    if (!tensors.FindDuplicateName()) return OkStatus();
    absl::flat_hash_map<std::string, uint64_t> names;  // and how often each was asked for
    TensorTable unique;
    for (size_t i = 0; i < tensors.size(); ++i) {
      TensorView tensor = tensors[i];
      const std::string asked(tensor.name);
      std::string name = asked;
      while (names[name]++ != 0) {
        name = fmt::format("{}#{}", asked, name == asked ? names[asked] : ++names[asked]);
      }
      tensor.name = name;
      RETURN_IF_ERROR(unique.Add(tensor));
    }
    tensors = std::move(unique);
    return OkStatus();
  }

  void Broken(uint64_t offset, std::string_view what) {
    problems_.Add(AtOffset(Error(ErrorCode::kCorruptedModel, what), offset));
  }
  void Unsupported(std::string_view what) {
    problems_.Add(Error(ErrorCode::kUnsupportedFormat, what));
  }

  WireSource source_;
  FileContents& contents_;
  Problems problems_;
  onnx::Budget budget_;
  onnx::ExternalData external_;
  onnx::TensorReader tensors_;
  onnx::FunctionCalls calls_;
  onnx::GraphReader graphs_;

  int64_t ir_version_ = 0;
  bool has_opsets_ = false;
  OpsetImports opsets_;
  std::optional<WireSpan> graph_;
  std::vector<Function> functions_;
  std::vector<WireSpan> training_;
  absl::flat_hash_set<std::string> metadata_keys_;
  size_t metadata_bytes_ = 0;
};

// ONNX Runtime's own format, a FlatBuffers file with this identifier.
constexpr std::string_view kOrtIdentifier = "ORTM";
constexpr size_t kOrtIdentifierOffset = 4;

bool IsOrt(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.size() > kOrtIdentifierOffset &&
         text.substr(kOrtIdentifierOffset).starts_with(kOrtIdentifier);
}

}  // namespace

FormatReader::Match OnnxReader::Recognise(const FileStart& start) const {
  if (IsOrt(start.bytes) || onnx::LooksLikeModel(start)) return Match::kByContent;
  return EndsWithIgnoreCase(start.name, ".onnx") ? Match::kByName : Match::kNo;
}

Status OnnxReader::Read(ByteSource& file, OtherFiles& others, FileContents& contents) const {
  std::array<std::byte, kOrtIdentifierOffset + kOrtIdentifier.size()> first;
  if (file.size() >= first.size()) {
    RETURN_IF_ERROR(file.Read(0, first));
    if (IsOrt(first)) {
      return Error(ErrorCode::kUnsupportedFormat,
                   "this is an ORT file, ONNX Runtime's own form of an optimised model; use the "
                   ".onnx file that it was made from");
    }
  }
  if (file.size() > kMaxOnnxBytes) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("it has {} bytes, a protobuf message at most {}; save the model with "
                             "external data",
                             file.size(), kMaxOnnxBytes));
  }
  return ModelReader(file, others, contents).Read();
}

}  // namespace warmset
