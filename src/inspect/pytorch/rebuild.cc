#include "inspect/pytorch/rebuild.h"

#include <optional>
#include <string>
#include <utility>

#include "fmt/format.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

Status DoNotFit(const PickleGlobal& callable) {
  return Corrupt(fmt::format("the arguments of {} do not fit", callable.name));
}

// Sizes or strides: a tuple, list or torch.Size of numbers that are not negative.
StatusOr<std::vector<uint64_t>> Dims(const PickleHeap& heap, PickleRef ref, std::string_view what) {
  const PickleKind kind = heap.KindOf(ref);
  if (kind != PickleKind::kTuple && kind != PickleKind::kList) {
    return Corrupt(fmt::format("a tensor's {} is no tuple", what));
  }
  const auto items = heap.ItemsOf(ref);
  if (items.size() > kMaxTensorRank) {
    return Error(ErrorCode::kUnsupportedFormat,
                 fmt::format("a tensor has {} dimensions; at most {} are supported", items.size(),
                             kMaxTensorRank));
  }
  std::vector<uint64_t> dims;
  dims.reserve(items.size());
  for (const PickleRef item : items) {
    const auto dim = heap.IntOf(item);
    if (!dim) return Corrupt(fmt::format("a tensor's {} is no whole number", what));
    if (*dim < 0) return Corrupt(fmt::format("a tensor has the negative {} {}", what, *dim));
    dims.push_back(static_cast<uint64_t>(*dim));
  }
  return dims;
}

Status SetShape(const PickleHeap& heap, PickleRef shape, PickleRef strides, PickleTensor& tensor) {
  ASSIGN_OR_RETURN(tensor.shape, Dims(heap, shape, "size"));
  ASSIGN_OR_RETURN(tensor.strides, Dims(heap, strides, "stride"));
  if (tensor.shape.size() == tensor.strides.size()) return OkStatus();
  return Corrupt(fmt::format("a tensor has {} sizes and {} strides", tensor.shape.size(),
                             tensor.strides.size()));
}

// The meaning of a dtype's global.
std::optional<GlobalMeaning> DTypeOf(const PickleHeap& heap, PickleRef ref) {
  if (heap.KindOf(ref) != PickleKind::kGlobal) return std::nullopt;
  const GlobalMeaning& meaning = heap.GlobalOf(ref).meaning;
  return meaning.kind == GlobalKind::kDType ? std::optional(meaning) : std::nullopt;
}

// (storage, offset, size, stride, ...)
StatusOr<PickleTensor> ViewOfStorage(const PickleHeap& heap, std::span<const PickleRef> args) {
  if (args.size() < 4 || heap.KindOf(args[0]) != PickleKind::kStorage) {
    return Corrupt("a tensor is made of something that is no storage");
  }
  PickleTensor tensor;
  const PickleStorage& storage = heap.StorageOf(args[0]);
  tensor.storage = heap.StorageIndexOf(args[0]);
  tensor.dtype = storage.type;
  const auto offset = heap.IntOf(args[1]);
  if (!offset || *offset < 0) return Corrupt("a tensor's offset in its storage is no such number");
  tensor.offset = static_cast<uint64_t>(*offset);
  RETURN_IF_ERROR(SetShape(heap, args[2], args[3], tensor));
  return tensor;
}

// The bits of a tensor that say how its values follow from its elements: {"conj": True,
// "neg": True}. A key that is there counts, whatever its value; further ones belong to
// other devices. Source: setTensorMetadata() in torch/csrc/jit/serialization/pickler.h.
Status SetMetadata(const PickleHeap& heap, const PickleGlobal& callable, PickleRef metadata,
                   PickleTensor& tensor) {
  switch (heap.KindOf(metadata)) {
    case PickleKind::kNone:
    case PickleKind::kOther:
      return OkStatus();
    case PickleKind::kDict:
      tensor.altered = !heap.ItemsOf(metadata).empty();
      return OkStatus();
    default:
      return DoNotFit(callable);
  }
}

StatusOr<PickleRef> RebuildTensor(PickleHeap& heap, const PickleGlobal& callable,
                                  std::span<const PickleRef> args) {
  const GlobalKind kind = callable.meaning.kind;
  // What follows the strides says how gradients are computed; metadata comes last.
  const bool fits = kind == GlobalKind::kRebuildTensor    ? args.size() >= 4 && args.size() <= 7
                    : kind == GlobalKind::kRebuildQTensor ? args.size() == 7
                                                          : args.size() == 7 || args.size() == 8;
  if (!fits) return DoNotFit(callable);
  ASSIGN_OR_RETURN(PickleTensor tensor, ViewOfStorage(heap, args));
  if (kind == GlobalKind::kRebuildTensorV3) {
    const auto dtype = DTypeOf(heap, args[6]);
    if (!dtype) return DoNotFit(callable);
    tensor.dtype = *dtype;
    tensor.dtype_name = args[6];
  }
  const size_t metadata = kind == GlobalKind::kRebuildTensorV3 ? 7 : 6;
  if (kind != GlobalKind::kRebuildQTensor && args.size() > metadata) {
    RETURN_IF_ERROR(SetMetadata(heap, callable, args[metadata], tensor));
  }
  return heap.Tensor(std::move(tensor));
}

// (tensor, dtype, device, ...): the tensor on the CPU is converted to the dtype.
StatusOr<PickleRef> RebuildOnDevice(PickleHeap& heap, const PickleGlobal& callable,
                                    std::span<const PickleRef> args) {
  if (args.empty() || args.size() > 4) return DoNotFit(callable);
  const auto dtype = args.size() > 1 ? DTypeOf(heap, args[1]) : std::nullopt;
  if (!dtype || heap.KindOf(args[0]) != PickleKind::kTensor) return args[0];
  if (heap.TensorOf(args[0]).dtype.dtype != dtype->dtype) heap.SetAltered(args[0]);
  return args[0];
}

StatusOr<PickleRef> RebuildMeta(PickleHeap& heap, const PickleGlobal& callable,
                                std::span<const PickleRef> args) {
  if (args.size() != 4) return DoNotFit(callable);
  const auto dtype = DTypeOf(heap, args[0]);
  if (!dtype) return DoNotFit(callable);
  PickleTensor tensor;
  tensor.dtype = *dtype;
  tensor.dtype_name = args[0];
  RETURN_IF_ERROR(SetShape(heap, args[1], args[2], tensor));
  return heap.Tensor(std::move(tensor));
}

// A dict of the tensors that another kind of tensor is made of.
PickleRef PartsByName(PickleHeap& heap, std::span<const PickleRef> parts,
                      std::span<const std::string_view> names) {
  const PickleRef dict = heap.Dict(/*ordered=*/false);
  for (size_t i = 0; i < names.size() && !heap.full(); ++i) {
    heap.Append(dict, heap.Text(names[i]));
    heap.Append(dict, parts[i]);
  }
  return dict;
}

// (layout, (indices, values, size, ...)) or (layout, (crow, col, values, size)).
StatusOr<PickleRef> RebuildSparse(PickleHeap& heap, const PickleGlobal& callable,
                                  std::span<const PickleRef> args) {
  if (args.size() != 2 || heap.KindOf(args[1]) != PickleKind::kTuple) return DoNotFit(callable);
  const auto layout = heap.TextOf(args[0]);
  const auto items = heap.ItemsOf(args[1]);
  const std::vector<PickleRef> parts(items.begin(), items.end());
  if (!layout || parts.size() < 3) return DoNotFit(callable);
  if (*layout == "torch.sparse_coo") {
    constexpr std::string_view kNames[] = {"indices", "values"};
    return PartsByName(heap, parts, kNames);
  }
  constexpr std::string_view kNames[] = {"compressed_indices", "plain_indices", "values"};
  return PartsByName(heap, parts, kNames);
}

StatusOr<PickleRef> RebuildNested(PickleHeap& heap, const PickleGlobal& callable,
                                  std::span<const PickleRef> args) {
  constexpr std::string_view kNames[] = {"buffer", "sizes", "strides", "storage_offsets"};
  if (args.size() != std::size(kNames)) return DoNotFit(callable);
  return PartsByName(heap, args, kNames);
}

// (function, type, args, state): the function's tensor, of another type.
StatusOr<PickleRef> RebuildFromType(PickleHeap& heap, const PickleGlobal& callable,
                                    std::span<const PickleRef> args) {
  if (args.size() != 4 || heap.KindOf(args[0]) != PickleKind::kGlobal ||
      heap.KindOf(args[2]) != PickleKind::kTuple) {
    return DoNotFit(callable);
  }
  const GlobalMeaning& inner = heap.GlobalOf(args[0]).meaning;
  const bool rebuilds = inner.kind >= GlobalKind::kRebuildTensor &&
                        inner.kind <= GlobalKind::kRebuildOnDevice;
  if (!rebuilds) return DoNotFit(callable);
  const auto items = heap.ItemsOf(args[2]);
  const std::vector<PickleRef> inner_args(items.begin(), items.end());
  return CallGlobal(heap, args[0], inner_args);
}

// OrderedDict(), or of a list of pairs, or of a dict.
StatusOr<PickleRef> MakeDict(PickleHeap& heap, const PickleGlobal& callable,
                             std::span<const PickleRef> args) {
  if (args.size() > 1) return DoNotFit(callable);
  const PickleRef dict = heap.Dict(/*ordered=*/true);
  if (args.empty()) return dict;
  const auto items = heap.ItemsOf(args[0]);
  const std::vector<PickleRef> content(items.begin(), items.end());
  if (heap.KindOf(args[0]) == PickleKind::kDict) {
    for (const PickleRef item : content) heap.Append(dict, item);
    return dict;
  }
  if (heap.KindOf(args[0]) != PickleKind::kList) return DoNotFit(callable);
  for (const PickleRef item : content) {
    const auto pair = heap.ItemsOf(item);
    if (heap.full() || pair.size() != 2 || heap.KindOf(item) == PickleKind::kDict) {
      return DoNotFit(callable);
    }
    const PickleRef key = pair[0];
    const PickleRef value = pair[1];
    heap.Append(dict, key);
    heap.Append(dict, value);
  }
  return dict;
}

}  // namespace

StatusOr<PickleRef> CallGlobal(PickleHeap& heap, PickleRef ref, std::span<const PickleRef> args) {
  const PickleGlobal callable = heap.GlobalOf(ref);  // the heap's own may move
  switch (callable.meaning.kind) {
    case GlobalKind::kOrderedDict:
    case GlobalKind::kCounter:
      return MakeDict(heap, callable, args);
    case GlobalKind::kSize:
    case GlobalKind::kLayout:
    case GlobalKind::kScriptValue:
      return args.empty() ? StatusOr<PickleRef>(DoNotFit(callable)) : args[0];
    case GlobalKind::kSet:
    case GlobalKind::kByteArray:
    case GlobalKind::kComplex:
    case GlobalKind::kEncode:
    case GlobalKind::kDevice:
      return heap.Opaque();
    case GlobalKind::kParameter:
      if (args.empty()) return heap.Object(ref);
      [[fallthrough]];
    case GlobalKind::kRebuildParameter:
      if (args.empty() || args.size() > 4) return DoNotFit(callable);
      // A parameter is a tensor, or what a kind of tensor was taken apart into.
      return args[0];
    case GlobalKind::kRebuildTensor:
    case GlobalKind::kRebuildTensorV3:
    case GlobalKind::kRebuildQTensor:
      return RebuildTensor(heap, callable, args);
    case GlobalKind::kRebuildOnDevice:
      return RebuildOnDevice(heap, callable, args);
    case GlobalKind::kRebuildMeta:
      return RebuildMeta(heap, callable, args);
    case GlobalKind::kRebuildSparse:
      return RebuildSparse(heap, callable, args);
    case GlobalKind::kRebuildNested:
      return RebuildNested(heap, callable, args);
    case GlobalKind::kRebuildFromType:
      return RebuildFromType(heap, callable, args);
    case GlobalKind::kRebuildOther:
      return Error(ErrorCode::kUnsupportedFormat,
                   fmt::format("a tensor is made by {}, which is not read here; save the model "
                               "again with its tensors on the CPU",
                               callable.name));
    case GlobalKind::kForbidden:
    case GlobalKind::kTensorType:
    case GlobalKind::kStorageType:
    case GlobalKind::kDType:
    case GlobalKind::kQScheme:
    case GlobalKind::kScriptClass:
      break;
  }
  return Error(ErrorCode::kUnsafeModel,
               fmt::format("it calls {}, which no model needs to do", callable.name));
}

StatusOr<PickleRef> NewObject(PickleHeap& heap, PickleRef type, std::span<const PickleRef> args) {
  switch (heap.GlobalOf(type).meaning.kind) {
    case GlobalKind::kScriptClass:
      return heap.Object(type);
    case GlobalKind::kOrderedDict:
    case GlobalKind::kCounter:
    case GlobalKind::kParameter:
    case GlobalKind::kSet:
      return CallGlobal(heap, type, args);
    default:
      return Error(ErrorCode::kUnsafeModel,
                   fmt::format("it makes an object of {}, which no model needs to do",
                               heap.GlobalOf(type).name));
  }
}

Status SetObjectState(PickleHeap& heap, PickleRef object, PickleRef state) {
  switch (heap.KindOf(object)) {
    case PickleKind::kOther:
      return OkStatus();
    case PickleKind::kDict:
      // Attributes such as a state dict's _metadata.
      if (heap.IsOrdered(object)) return OkStatus();
      break;
    case PickleKind::kObject: {
      // A parameter of before PyTorch 0.4 gets its tensor in its state.
      const auto items = heap.ItemsOf(state);
      const bool tensor = heap.KindOf(state) == PickleKind::kTuple && !items.empty() &&
                          heap.KindOf(items[0]) == PickleKind::kTensor;
      if (tensor && heap.IsParameter(object)) {
        heap.Become(object, items[0]);
      } else {
        heap.SetState(object, state);
      }
      return OkStatus();
    }
    case PickleKind::kTensor:
      return Error(ErrorCode::kUnsupportedFormat,
                   "a tensor is made in the way of PyTorch before 0.4; load the file with a PyTorch "
                   "of its time and save it again");
    default:
      break;
  }
  return Corrupt("it sets the state of a value that has none");
}

StatusOr<PickleRef> LoadStorage(PickleHeap& heap, PickleRef id, uint64_t at) {
  // ("storage", type, key, location, elements[, (view key, offset, elements)])
  const auto items = heap.ItemsOf(id);
  if (heap.KindOf(id) != PickleKind::kTuple || items.size() < 5 || items.size() > 6 ||
      heap.TextOf(items[0]) != "storage" || heap.KindOf(items[1]) != PickleKind::kGlobal ||
      heap.GlobalOf(items[1]).meaning.kind != GlobalKind::kStorageType) {
    return Corrupt("a persistent id names no storage");
  }
  PickleStorage storage;
  storage.type = heap.GlobalOf(items[1]).meaning;
  storage.key = items[2];
  storage.at = at;
  if (!heap.TextOf(storage.key)) return Corrupt("a storage's key is no text");
  const auto elements = heap.IntOf(items[4]);
  if (!elements || *elements < 0) return Corrupt("a storage's size is no such number");
  storage.elements = static_cast<uint64_t>(*elements);
  if (items.size() == 6 && heap.KindOf(items[5]) != PickleKind::kNone) {
    const auto view = heap.ItemsOf(items[5]);
    const auto offset = view.size() == 3 ? heap.IntOf(view[1]) : std::nullopt;
    const auto view_elements = view.size() == 3 ? heap.IntOf(view[2]) : std::nullopt;
    if (!offset || !view_elements || *offset < 0 || *view_elements < 0) {
      return Corrupt("a view of a storage is none");
    }
    storage.view_offset = static_cast<uint64_t>(*offset);
    storage.view_elements = static_cast<uint64_t>(*view_elements);
  }
  return heap.Storage(storage);
}

}  // namespace warmset
