#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/byte_reader.h"
#include "fmt/format.h"
#include "inspect/cut_off.h"
#include "inspect/pytorch/forms.h"
#include "inspect/pytorch/placement.h"
#include "inspect/pytorch/state_dict.h"
#include "inspect/shown.h"

namespace warmset {
namespace {

// 0x1950a86a20f9469cfc6c and 1001: MAGIC_NUMBER and PROTOCOL_VERSION in
// torch/serialization.py.
constexpr std::string_view kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int64_t kVersion = 1001;

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

// The value of a text key in a dict.
std::optional<PickleRef> ValueOf(const PickleHeap& heap, PickleRef dict, std::string_view key) {
  const auto items = heap.ItemsOf(dict);
  if (heap.KindOf(dict) != PickleKind::kDict) return std::nullopt;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (heap.TextOf(items[i]) == key) return items[i + 1];
  }
  return std::nullopt;
}

// A row of pickles, of which the first is read. Used once.
class LegacyFile {
 public:
  LegacyFile(ByteSource& file, PickleHeap& heap, PickleInterpreter& pickles,
             FileContents& contents, Problems& problems)
      : file_(file),
        heap_(heap),
        pickles_(pickles),
        contents_(contents),
        problems_(problems),
        end_(file.size()) {}

  // Nothing more can be read where a stream breaks off.
  Status Read() {
    std::array<PickleRef, 4> values{};  // version, system, object, keys
    for (PickleRef& value : values) {
      ASSIGN_OR_RETURN(const std::optional<PickleRef> read, pickles_.RunStream());
      if (!read) return OkStatus();
      value = *read;
    }
    const auto [version, system, object, keys] = values;
    CheckSystem(version, system);
    Status placed = PlaceStorages(keys);
    if (CodeOf(placed) == ErrorCode::kIoError) return placed;
    end_ = placed.ok() ? end_ : file_.size();
    const bool cut_off = CodeOf(placed) == ErrorCode::kIncompleteModel;
    problems_.Add(std::move(placed));
    if (cut_off) return OkStatus();
    contents_.metadata = TopLevelFacts(heap_, object);
    PlaceTensors(
        heap_, object, "", [this](const PickleStorage& storage) { return Find(storage); },
        contents_, problems_);
    if (contents_.tensors.empty() && problems_.empty()) {
      problems_.Add(Error(ErrorCode::kUnrecognizedFormat,
                          "it is a PyTorch file without tensors; no model is in it"));
    }
    return OkStatus();
  }

  // Behind the last storage.
  uint64_t end() const { return end_; }

 private:
  struct Stored {
    uint64_t item_bytes = 0;
    StoragePlace place;
    uint64_t elements = 0;
    bool placed = false;
  };

  void CheckSystem(PickleRef version, PickleRef system) {
    const auto number = heap_.IntOf(version);
    if (number) contents_.format_version = std::to_string(*number);
    if (number != kVersion) {
      problems_.Add(Error(ErrorCode::kUnsupportedFormat,
                          fmt::format("it is of another version than {}; load it with the PyTorch "
                                      "that wrote it and save it again",
                                      kVersion)));
    }
    const auto little = ValueOf(heap_, system, "little_endian");
    if (little && heap_.BoolOf(*little) == false) {
      problems_.Add(Error(ErrorCode::kUnsupportedFormat,
                          "its data is big-endian; load it with PyTorch and save it again on a "
                          "little-endian machine"));
    }
  }

  // The data of the keys, one after another, each behind its number of elements.
  Status PlaceStorages(PickleRef keys) {
    for (const PickleStorage& storage : heap_.storages()) {
      stored_[*heap_.TextOf(storage.key)].item_bytes = storage.type.item_bytes;
    }
    if (heap_.KindOf(keys) != PickleKind::kList) return Corrupt("its list of storages is none");
    SourceReader data(file_, pickles_.offset());
    for (const PickleRef key : heap_.ItemsOf(keys)) {
      const auto name = heap_.TextOf(key);
      const auto found = name ? stored_.find(*name) : stored_.end();
      if (found == stored_.end() || found->second.placed) {
        return AtOffset(
            Corrupt(fmt::format("its list of storages has '{}', which {}", Shown(name.value_or("?")),
                                found == stored_.end() ? "no tensor uses" : "comes twice")),
            data.offset());
      }
      Stored& stored = found->second;
      ASSIGN_OR_RETURN(stored.elements, data.Read<uint64_t>());
      const auto bytes = CheckedMultiply(stored.elements, stored.item_bytes);
      if (!bytes || *bytes > data.remaining()) {
        const uint64_t there = data.offset() + data.remaining();
        return CutOff(there,
                      bytes ? CheckedAdd(data.offset(), *bytes).value_or(UINT64_MAX) : UINT64_MAX);
      }
      stored.place = {.offset = data.offset(), .bytes = *bytes, .packed = false};
      stored.placed = true;
      RETURN_IF_ERROR(data.Skip(*bytes));
    }
    end_ = data.offset();
    return OkStatus();
  }

  StatusOr<StoragePlace> Find(const PickleStorage& storage) const {
    const std::string_view name = *heap_.TextOf(storage.key);
    const Stored& stored = stored_.at(name);
    if (!stored.placed) {
      return Corrupt(fmt::format("its storage '{}' is not in the file", Shown(name)));
    }
    const uint64_t item = storage.type.item_bytes;
    if (storage.elements != stored.elements || item != stored.item_bytes) {
      return AtOffset(Corrupt(fmt::format("its storage '{}' is said to have {} elements of {} "
                                          "bytes; the file has {} of {}",
                                          Shown(name), storage.elements, item, stored.elements,
                                          stored.item_bytes)),
                      stored.place.offset);
    }
    if (!storage.view_elements) return stored.place;
    if (storage.view_offset > stored.elements ||
        *storage.view_elements > stored.elements - storage.view_offset) {
      return Corrupt(fmt::format("a part of storage '{}' lies outside of it", Shown(name)));
    }
    return StoragePlace{.offset = stored.place.offset + storage.view_offset * item,
                        .bytes = *storage.view_elements * item,
                        .packed = false};
  }

  ByteSource& file_;
  PickleHeap& heap_;
  PickleInterpreter& pickles_;
  FileContents& contents_;
  Problems& problems_;
  std::unordered_map<std::string_view, Stored> stored_;
  uint64_t end_;
};

// What a file of pickles is that PyTorch would not take for a model.
Status JudgeBarePickles(const PickleTraits& traits) {
  if (traits.persistent_ids) {
    return Error(ErrorCode::kIncompleteModel,
                 "it is the pickle of a model without the data of its tensors; get the whole file "
                 "that it was taken from");
  }
  return Error(ErrorCode::kUnrecognizedFormat, "it is a pickle of plain data without tensors");
}

}  // namespace

Status ReadPickleForm(ByteSource& file, FileContents& contents, Problems& problems) {
  PickleHeap heap;
  PickleBudget budget;
  Problems found;
  const PicklePlace place;
  PickleInterpreter pickles(file, 0, place, heap, budget, found);
  ASSIGN_OR_RETURN(const std::optional<PickleRef> first, pickles.RunStream());
  if (first && heap.IsBigInt(*first, kMagic)) {
    LegacyFile legacy(file, heap, pickles, contents, found);
    RETURN_IF_ERROR(legacy.Read());
    problems.AddFrom(found, Verdict::kUnrecognized);
    if (legacy.end() == file.size()) return OkStatus();
    contents.findings.push_back(
        {.path = "",
         .message = fmt::format("{} bytes follow the model's data; they are left out",
                                file.size() - legacy.end()),
         .offset = legacy.end()});
    return LookThroughPickles(file, legacy.end(), place, budget, problems);
  }
  while (pickles.remaining() != 0 && !pickles.traits().broken) {
    RETURN_IF_ERROR(pickles.RunStream().status());
  }
  const PickleTraits& traits = pickles.traits();
  const bool plain = !traits.forbidden && !traits.broken && !traits.juggled;
  // How plain data is written does not matter where there is no model.
  if (!plain || traits.persistent_ids) problems.AddFrom(found, Verdict::kUnrecognized);
  if (plain) problems.Add(JudgeBarePickles(traits));
  return OkStatus();
}

Status LookThroughPickles(ByteSource& source, uint64_t begin, const PicklePlace& place,
                          PickleBudget& budget, Problems& problems) {
  PickleHeap heap;
  Problems found;
  PickleInterpreter pickles(source, begin, place, heap, budget, found);
  while (pickles.remaining() != 0 && !pickles.traits().broken) {
    RETURN_IF_ERROR(pickles.RunStream().status());
  }
  problems.AddFrom(found, Verdict::kUnsafe);
  return OkStatus();
}

}  // namespace warmset
