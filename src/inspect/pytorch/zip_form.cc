#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/byte_reader.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/pytorch/forms.h"
#include "inspect/pytorch/placement.h"
#include "inspect/pytorch/state_dict.h"
#include "inspect/shown.h"
#include "inspect/zip/zip_content.h"
#include "inspect/zip/zip_directory.h"

namespace warmset {
namespace {

// Source: kMinSupportedFileFormatVersion and kMaxSupportedFileFormatVersion in
// caffe2/serialize/versions.h.
constexpr uint64_t kFirstVersion = 1;
constexpr uint64_t kLastVersion = 10;
// All pickles of an archive together; overlapping entries may claim far more.
constexpr uint64_t kMaxPickleBytes = kGiB;
constexpr uint64_t kMaxNoteBytes = 64;  // entries such as `version`

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

bool IsPickle(const ZipEntry& entry) {
  const auto named = [](std::string_view name) {
    return name.ends_with(".pkl") || name.ends_with(".pickle");
  };
  return named(entry.name) || named(entry.local_name);
}

// One archive. Used once.
class Archive {
 public:
  Archive(ByteSource& file, FileContents& contents, Problems& problems)
      : file_(file), contents_(contents), problems_(problems) {}

  Status Read() {
    ASSIGN_OR_RETURN(directory_, ReadZipDirectory(file_));
    if (directory_.cut_off) return ReadCutOff();
    for (Status& problem : directory_.problems) problems_.Add(std::move(problem));
    for (const ZipEntry& entry : directory_.entries) {
      if (!entry.is_folder()) by_name_.emplace(entry.name, &entry);
    }
    FindRoot();
    in_script_ = Has("constants.pkl");
    const bool is_model = Has("data.pkl");
    if (is_model) RETURN_IF_ERROR(CheckNotes());
    for (const ZipEntry& entry : directory_.entries) {
      if (IsPickle(entry)) RETURN_IF_ERROR(ReadPickle(entry));
    }
    if (!is_model) {
      problems_.Add(WhyNoModel());
      return OkStatus();
    }
    if (in_script_) {
      contents_.findings.push_back(
          {.path = "",
           .category = FindingCategory::kUnsafeContent,
           .message = "it holds TorchScript code, which torch.jit.load() runs in its own "
                      "interpreter; Warmset reads its tensors and runs nothing"});
    }
    if (contents_.tensors.empty() && problems_.empty()) {
      problems_.Add(Error(ErrorCode::kUnrecognizedFormat,
                          "it is a PyTorch archive without tensors; no model is in it"));
    }
    return OkStatus();
  }

 private:
  // Nothing can be handed out of it, but what it holds may be unsafe.
  Status ReadCutOff() {
    FindRoot();
    in_script_ = Has("constants.pkl");
    for (const ZipEntry& entry : directory_.entries) {
      if (IsPickle(entry)) RETURN_IF_ERROR(ReadPickle(entry));
    }
    problems_.ForgetCorruption();
    for (Status& problem : directory_.problems) problems_.Add(std::move(problem));
    contents_.tensors = {};
    return OkStatus();
  }

  // The folder that everything lies in: that of the first entry.
  void FindRoot() {
    if (directory_.entries.empty()) return;
    const std::string& first = directory_.entries.front().name;
    const size_t slash = first.find('/');
    if (slash == std::string::npos) return;
    root_ = first.substr(0, slash + 1);
  }

  const ZipEntry* Find(const std::string& name) const {
    const auto entry = by_name_.find(root_ + name);
    return entry == by_name_.end() ? nullptr : entry->second;
  }
  bool Has(const std::string& name) const { return !root_.empty() && Find(name) != nullptr; }

  Status WhyNoModel() const {
    if (Has("model.json")) {
      return Error(ErrorCode::kUnsupportedFormat,
                   "it is a TorchScript archive of before PyTorch 1.0; load it with a PyTorch of "
                   "its time and save it again");
    }
    const bool elsewhere =
        std::any_of(directory_.entries.begin(), directory_.entries.end(),
                    [](const ZipEntry& entry) {
                      return entry.IsNamed("data.pkl") || entry.name.ends_with("/data.pkl") ||
                             entry.local_name.ends_with("/data.pkl");
                    });
    if (elsewhere) {
      return Corrupt("data.pkl does not lie in the folder that the archive begins with");
    }
    return Error(ErrorCode::kUnrecognizedFormat,
                 "it is a zip archive that holds no model; unpack it first if one is deeper in it");
  }

  // The small entries that say how the others are to be read.
  Status CheckNotes() {
    const ZipEntry* version = Find("version");
    if (version == nullptr) version = Find(".data/version");
    if (version == nullptr) {
      problems_.Add(Corrupt("the archive has no version; download it again"));
    } else {
      ASSIGN_OR_RETURN(const std::string text, NoteOf(*version));
      problems_.Add(AtOffset(CheckVersion(text), version->data_offset));
    }
    if (const ZipEntry* order = Find("byteorder")) {
      ASSIGN_OR_RETURN(const std::string text, NoteOf(*order));
      problems_.Add(AtOffset(CheckByteOrder(text), order->data_offset));
    }
    return OkStatus();
  }

  Status CheckVersion(std::string_view text) {
    uint64_t number = 0;
    const char* const text_end = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), text_end, number);
    const std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
    if (error != std::errc() || rest.find_first_not_of("\r\n ") != std::string_view::npos) {
      return Corrupt(fmt::format("its version '{}' is no number", Shown(text)));
    }
    contents_.format_version = std::to_string(number);
    if (number >= kFirstVersion && number <= kLastVersion) return OkStatus();
    return Error(ErrorCode::kUnsupportedFormat,
                 fmt::format("it is of archive version {}; {} to {} are read here. Save it again "
                             "with a current PyTorch",
                             number, kFirstVersion, kLastVersion));
  }

  static Status CheckByteOrder(std::string_view text) {
    if (text == "little") return OkStatus();
    if (text != "big") return Corrupt(fmt::format("its byte order '{}' is none", Shown(text)));
    return Error(ErrorCode::kUnsupportedFormat,
                 "its data is big-endian; load it with PyTorch and save it again on a little-endian "
                 "machine");
  }

  StatusOr<std::string> NoteOf(const ZipEntry& entry) {
    auto content = ZipContent::Open(file_, entry);
    if (!content.ok()) return Refused(content.status());
    problems_.Add(content->problem());
    ByteSource& source = content->source();
    return ReadText(source, 0, std::min(source.size(), kMaxNoteBytes));
  }

  // Something in the archive that can't be read; an error of the file stays one.
  StatusOr<std::string> Refused(const Status& error) {
    if (CodeOf(error) != ErrorCode::kUnsupportedFormat) return error;
    problems_.Add(error);
    return std::string();
  }

  Status ReadPickle(const ZipEntry& entry) {
    const uint64_t cost = std::max(entry.stored_bytes, std::min(entry.bytes, kMaxInflatedBytes));
    if (cost > kMaxPickleBytes - pickle_bytes_) {
      problems_.Add(AtOffset(Corrupt("its pickles are larger together than any model's"),
                             entry.header_offset));
      return OkStatus();
    }
    pickle_bytes_ += cost;
    auto content = ZipContent::Open(file_, entry);
    if (!content.ok()) return Refused(content.status()).status();
    problems_.Add(content->problem());

    const bool is_data = entry.name == root_ + "data.pkl";
    const bool is_constants = in_script_ && entry.name == root_ + "constants.pkl";
    const PicklePlace place{
        .name = entry.name, .file_offset = content->file_offset(), .in_script = in_script_};
    if (!is_data && !is_constants) {
      return LookThroughPickles(content->source(), 0, place, budget_, problems_);
    }
    PickleHeap heap;
    PickleInterpreter interpreter(content->source(), 0, place, heap, budget_, problems_);
    ASSIGN_OR_RETURN(const std::optional<PickleRef> value, interpreter.RunStream());
    // The loader stops here; others may not.
    if (interpreter.remaining() != 0) {
      RETURN_IF_ERROR(LookThroughPickles(content->source(), interpreter.offset(), place, budget_,
                                         problems_));
    }
    if (!value) return OkStatus();
    if (is_data) contents_.metadata = TopLevelFacts(heap, *value);
    const std::string folder = root_ + (is_data ? "data/" : "constants/");
    PlaceTensors(
        heap, *value, is_data ? "" : "constants",
        [&](const PickleStorage& storage) { return FindData(folder, heap, storage); }, contents_,
        problems_);
    return OkStatus();
  }

  StatusOr<StoragePlace> FindData(const std::string& folder, const PickleHeap& heap,
                                  const PickleStorage& storage) const {
    const std::string name = folder + std::string(heap.TextOf(storage.key).value_or(""));
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      return Corrupt(fmt::format("its storage '{}' is not in the archive", Shown(name)));
    }
    const ZipEntry& entry = *found->second;
    const auto bytes = CheckedMultiply(storage.elements, storage.type.item_bytes);
    if (!bytes || *bytes != entry.bytes) {
      return AtOffset(
          Corrupt(fmt::format("its storage '{}' is said to have {} elements of {} bytes; the "
                              "archive has {} bytes",
                              Shown(name), storage.elements, storage.type.item_bytes, entry.bytes)),
          entry.header_offset);
    }
    const bool packed = entry.method != kZipStored;
    if (!packed && entry.stored_bytes != entry.bytes) {
      return AtOffset(Corrupt(fmt::format("its storage '{}' is cut off", Shown(name))),
                      entry.header_offset);
    }
    return StoragePlace{.offset = entry.data_offset, .bytes = *bytes, .packed = packed};
  }

  ByteSource& file_;
  FileContents& contents_;
  Problems& problems_;
  ZipDirectory directory_;
  std::unordered_map<std::string_view, const ZipEntry*> by_name_;
  std::string root_;  // with its '/'
  bool in_script_ = false;
  PickleBudget budget_;
  uint64_t pickle_bytes_ = 0;
};

}  // namespace

Status ReadZipForm(ByteSource& file, FileContents& contents, Problems& problems) {
  return Archive(file, contents, problems).Read();
}

Status LookThroughZip(ByteSource& file, Problems& problems) {
  FileContents contents;
  Problems all;
  RETURN_IF_ERROR(Archive(file, contents, all).Read());
  problems.AddFrom(all, Verdict::kUnsafe);
  return OkStatus();
}

}  // namespace warmset
