#include "inspect/pytorch/state_dict.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/pytorch/pickle_keys.h"

namespace warmset {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr uint64_t kMaxVisits = 4'000'000;
constexpr uint64_t kMaxNames = 1'000'000;
// Tied weights have two or three. A few values that contain each other many times
// over would give millions.
constexpr uint64_t kMaxNamesOfATensor = 16;
constexpr uint64_t kMaxNameBytes = 64 * kMiB;  // of all names
constexpr std::string_view kWrapper = "state_dict";

class Walk {
 public:
  Walk(const PickleHeap& heap, std::string_view prefix, const NamedTensorFunction& tensor,
       const std::function<void(std::string_view name)>& twice)
      : heap_(heap),
        tensor_(tensor),
        twice_(twice),
        name_(prefix),
        met_(heap.tensor_count(), false) {}

  std::vector<bool> TakeMet() { return std::move(met_); }

  Status Visit(PickleRef value) {
    if (++visits_ > kMaxVisits) return TooMany();
    switch (heap_.KindOf(value)) {
      case PickleKind::kTensor:
        return Name(value);
      case PickleKind::kTuple:
      case PickleKind::kList:
      case PickleKind::kDict:
      case PickleKind::kObject:
        break;
      default:
        return OkStatus();
    }
    if (std::find(path_.begin(), path_.end(), value) != path_.end()) {
      return Error(ErrorCode::kCorruptedModel, "a value in it contains itself");
    }
    if (path_.size() == kMaxDepth) {
      return Error(ErrorCode::kCorruptedModel,
                   fmt::format("its values lie more than {} deep in each other", kMaxDepth));
    }
    path_.push_back(value);
    const Status status = VisitItems(value);
    path_.pop_back();
    return status;
  }

 private:
  Status VisitItems(PickleRef value) {
    const auto items = heap_.ItemsOf(value);
    switch (heap_.KindOf(value)) {
      case PickleKind::kDict:
        return VisitDict(items);
      case PickleKind::kObject:
        return items.empty() ? OkStatus() : Visit(items[0]);
      default:
        for (size_t i = 0; i < items.size(); ++i) {
          RETURN_IF_ERROR(VisitPart(std::to_string(i), items[i]));
        }
        return OkStatus();
    }
  }

  Status VisitDict(std::span<const PickleRef> items) {
    std::unordered_map<std::string, size_t> last;  // what a dict keeps of equal keys
    for (size_t i = 0; i + 1 < items.size(); i += 2) last[IdentityOfKey(heap_, items[i])] = i;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (last[IdentityOfKey(heap_, items[i])] == i) {
        RETURN_IF_ERROR(VisitPart(NameOfKey(heap_, items[i], i / 2), items[i + 1]));
      } else if (heap_.KindOf(items[i + 1]) == PickleKind::kTensor) {
        met_[heap_.TensorIndexOf(items[i + 1])] = true;  // the dict does not keep it
      }
    }
    return OkStatus();
  }

  Status VisitPart(const std::string& key, PickleRef value) {
    const size_t before = name_.size();
    const bool wrapper = path_.size() == 1 && key == kWrapper &&
                         heap_.KindOf(value) == PickleKind::kDict;
    if (!wrapper) {
      if (!name_.empty()) name_ += '.';
      name_ += key;
    }
    const Status status = Visit(value);
    name_.resize(before);
    return status;
  }

  Status Name(PickleRef tensor) {
    met_[heap_.TensorIndexOf(tensor)] = true;
    name_bytes_ += name_.size();
    if (seen_.size() == kMaxNames || seen_.size() > kMaxNamesOfATensor * heap_.tensor_count() ||
        name_bytes_ > kMaxNameBytes) {
      return TooMany();
    }
    if (!seen_.insert(name_).second) {
      twice_(name_);
      return OkStatus();
    }
    return tensor_(name_, tensor);
  }

  static Status TooMany() {
    return Error(ErrorCode::kCorruptedModel,
                 "its values come to more than any model has when they are written out");
  }

  const PickleHeap& heap_;
  const NamedTensorFunction& tensor_;
  const std::function<void(std::string_view name)>& twice_;
  std::vector<PickleRef> path_;  // what contains what is looked at
  std::string name_;
  std::unordered_set<std::string> seen_;
  std::vector<bool> met_;
  uint64_t visits_ = 0;
  uint64_t name_bytes_ = 0;
};

}  // namespace

StatusOr<std::vector<bool>> NameTensors(const PickleHeap& heap, PickleRef root,
                                        std::string_view prefix, const NamedTensorFunction& tensor,
                                        const std::function<void(std::string_view name)>& twice) {
  Walk walk(heap, prefix, tensor, twice);
  RETURN_IF_ERROR(walk.Visit(root));
  return walk.TakeMet();
}

std::map<std::string, std::string> TopLevelFacts(const PickleHeap& heap, PickleRef root) {
  constexpr size_t kMaxFacts = 100;
  constexpr size_t kMaxFactBytes = 1024;
  std::map<std::string, std::string> facts;
  if (heap.KindOf(root) != PickleKind::kDict) return facts;
  const auto items = heap.ItemsOf(root);
  for (size_t i = 0; i + 1 < items.size() && facts.size() < kMaxFacts; i += 2) {
    const auto key = heap.TextOf(items[i]);
    if (!key || key->size() > kMaxFactBytes) continue;
    std::string& fact = facts[std::string(*key)];
    if (const auto text = heap.TextOf(items[i + 1]); text && text->size() <= kMaxFactBytes) {
      fact = *text;
    } else if (const auto number = heap.IntOf(items[i + 1])) {
      fact = std::to_string(*number);
    } else if (const auto real = heap.FloatOf(items[i + 1])) {
      fact = fmt::format("{}", *real);
    } else if (const auto flag = heap.BoolOf(items[i + 1])) {
      fact = *flag ? "true" : "false";
    } else {
      facts.erase(std::string(*key));
    }
  }
  return facts;
}

}  // namespace warmset
