#include "inspect/pytorch/placement.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/byte_reader.h"
#include "fmt/format.h"
#include "inspect/pytorch/state_dict.h"
#include "inspect/shown.h"

namespace warmset {
namespace {

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

// The elements that a tensor reaches over, from its offset on; nothing when that
// overflows. 0 for an empty one.
std::optional<uint64_t> Reach(const PickleTensor& tensor) {
  uint64_t last = 0;
  for (const uint64_t size : tensor.shape) {
    if (size == 0) return 0;
  }
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    const auto step = CheckedMultiply(tensor.shape[i] - 1, tensor.strides[i]);
    const auto sum = step ? CheckedAdd(last, *step) : std::nullopt;
    if (!sum) return std::nullopt;
    last = *sum;
  }
  return CheckedAdd(last, 1);
}

std::optional<uint64_t> ElementsOf(const PickleTensor& tensor) {
  uint64_t elements = 1;
  for (const uint64_t size : tensor.shape) {
    const auto product = CheckedMultiply(elements, size);
    if (!product) return std::nullopt;
    elements = *product;
  }
  return elements;
}

// Row-major without gaps; the stride of a dimension of one means nothing.
bool IsContiguous(const PickleTensor& tensor) {
  uint64_t expected = 1;
  for (size_t i = tensor.shape.size(); i > 0; --i) {
    if (tensor.shape[i - 1] == 0) return true;
  }
  for (size_t i = tensor.shape.size(); i > 0; --i) {
    if (tensor.shape[i - 1] == 1) continue;
    if (tensor.strides[i - 1] != expected) return false;
    expected *= tensor.shape[i - 1];  // no more than ElementsOf(), which fits
  }
  return true;
}

class Placement {
 public:
  Placement(const PickleHeap& heap, const FindStorage& find, FileContents& contents)
      : heap_(heap), find_(find), contents_(contents) {}

  Status Place(std::string_view name, PickleRef ref) {
    const PickleTensor& tensor = heap_.TensorOf(ref);
    TensorView view;
    view.name = name;
    view.dtype = tensor.dtype.dtype;
    if (view.dtype == DType::kInvalid) return RefuseDType(tensor);
    // Two 4-bit elements count as one in PyTorch; here each counts.
    std::vector<uint64_t> shape = tensor.shape;
    if (view.dtype == DType::kF4 && !shape.empty()) {
      const auto doubled = CheckedMultiply(shape.back(), 2);
      if (!doubled) return Corrupt("its size overflows");
      shape.back() = *doubled;
    }
    view.shape = shape;
    std::vector<int64_t> strides;
    RETURN_IF_ERROR(SetPlace(tensor, view, strides));
    if (tensor.dtype.quantised) quantised_.Count(name);
    if (tensor.altered) altered_.Count(name);
    // The values follow from the bytes and from what stands beside them in the pickle.
    if (tensor.dtype.quantised || tensor.altered) view.storage = TensorStorage::kEncoded;
    return contents_.tensors.Add(view);
  }

  // met: as NameTensors() returns it.
  void Finish(const std::vector<bool>& met) {
    Warn(quantised_, "tensors (the first is",
         "are quantised: their scales and zero points are stored apart, so that they are listed "
         "and not handed out; load them with PyTorch");
    Warn(altered_, "tensors (the first is",
         "have a conjugate, negative or other bit that changes their values when they are "
         "loaded, so that they are listed and not handed out; save the model again after "
         "resolve_conj() and resolve_neg()");
    std::vector<bool> used(heap_.storages().size(), false);
    Counted unmet;
    for (size_t i = 0; i < heap_.tensor_count(); ++i) {
      const PickleTensor& tensor = heap_.tensors()[i];
      if (tensor.storage != PickleTensor::kNoStorage) used[tensor.storage] = true;
      if (met[i]) continue;
      unmet.Count(tensor.storage == PickleTensor::kNoStorage
                      ? ""
                      : heap_.TextOf(heap_.storages()[tensor.storage].key).value_or(""));
    }
    Warn(unmet, "tensors (the first in storage",
         "lie in sets, in attributes of other values or among the keys of dicts, where a tensor "
         "has no name; they are left out");
    Counted bare;
    for (size_t i = 0; i < used.size(); ++i) {
      if (!used[i]) bare.Count(heap_.TextOf(heap_.storages()[i].key).value_or(""));
    }
    Warn(bare, "storages (the first is", "belong to no tensor; they are left out");
  }

 private:
  struct Counted {
    void Count(std::string_view name) {
      if (count++ == 0) first = name;
    }
    uint64_t count = 0;
    std::string first;
  };

  void Warn(const Counted& counted, std::string_view what, std::string_view why) {
    if (counted.count == 0) return;
    contents_.findings.push_back(
        {.path = "",
         .category = FindingCategory::kDtypeSupport,
         .message = fmt::format("{} {} '{}') {}", counted.count, what, Shown(counted.first), why)});
  }

  Status RefuseDType(const PickleTensor& tensor) const {
    const bool named = heap_.KindOf(tensor.dtype_name) == PickleKind::kGlobal;
    return Error(ErrorCode::kUnsupportedFormat,
                 fmt::format("it is of {}, which is not read here; convert it to another dtype",
                             named ? heap_.GlobalOf(tensor.dtype_name).name
                                   : "a storage without a dtype or of packed quantised elements"));
  }

  // Where its bytes lie; the strides, where they are needed, in `strides`.
  Status SetPlace(const PickleTensor& tensor, TensorView& view, std::vector<int64_t>& strides) {
    const auto elements = ElementsOf(tensor);
    const auto reach = Reach(tensor);
    if (!elements || !reach) return Corrupt("its size overflows");
    if (tensor.storage == PickleTensor::kNoStorage) {
      view.storage = TensorStorage::kEncoded;
      return OkStatus();
    }
    const PickleStorage& storage = heap_.storages()[tensor.storage];
    ASSIGN_OR_RETURN(const StoragePlace place, Find(tensor.storage));
    const uint64_t item = tensor.dtype.item_bytes;
    const auto end = CheckedAdd(tensor.offset, *reach);
    const auto end_bytes = end ? CheckedMultiply(*end, item) : std::nullopt;
    if (!end_bytes || *end_bytes > place.bytes) {
      if (*reach != 0 || tensor.offset > place.bytes / item) {
        return Corrupt(fmt::format(
            "its elements up to {} lie outside of storage '{}', which has {} bytes",
            end ? *end : UINT64_MAX, Shown(heap_.TextOf(storage.key).value_or("")), place.bytes));
      }
    }
    view.offset = place.offset + tensor.offset * item;
    if (place.packed) {
      view.storage = TensorStorage::kEncoded;
      view.offset = place.offset;
      return OkStatus();
    }
    if (IsContiguous(tensor)) {
      view.bytes = *elements * item;
      return OkStatus();
    }
    view.storage = TensorStorage::kStrided;
    view.bytes = *reach * item;
    for (const uint64_t stride : tensor.strides) strides.push_back(static_cast<int64_t>(stride));
    view.strides = strides;
    return OkStatus();
  }

  StatusOr<StoragePlace> Find(uint32_t index) {
    const auto known = places_.find(index);
    if (known != places_.end()) return known->second;
    ASSIGN_OR_RETURN(const StoragePlace place, find_(heap_.storages()[index]));
    return places_.emplace(index, place).first->second;
  }

  const PickleHeap& heap_;
  const FindStorage& find_;
  FileContents& contents_;
  std::unordered_map<uint32_t, StoragePlace> places_;
  Counted quantised_;
  Counted altered_;
};

}  // namespace

void PlaceTensors(const PickleHeap& heap, PickleRef root, std::string_view prefix,
                  const FindStorage& find, FileContents& contents, Problems& problems) {
  Placement placement(heap, find, contents);
  uint64_t twice = 0;
  std::string twice_name;
  const auto place = [&](std::string_view name, PickleRef tensor) {
    const Status status = placement.Place(name, tensor);
    if (!status.ok()) problems.Add(Annotate(status, fmt::format("tensor '{}'", Shown(name))));
    return OkStatus();
  };
  const auto count = [&](std::string_view name) {
    if (twice++ == 0) twice_name = name;
  };
  const auto met = NameTensors(heap, root, prefix, place, count);
  problems.Add(met.status());
  if (met.ok()) placement.Finish(*met);
  if (twice != 0) {
    contents.findings.push_back(
        {.path = "",
         .message = fmt::format("two tensors would be named '{}' ({} such); the later ones are "
                                "left out",
                                Shown(twice_name), twice)});
  }
}

}  // namespace warmset
