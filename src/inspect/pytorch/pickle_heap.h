// The values that a pickle makes, as plain data: nothing in them can be called.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/pytorch/globals.h"

namespace warmset {

enum class PickleKind : uint8_t {
  kOther,   // the result of something refused: it may be anything
  kOpaque,  // a value that nobody looks at: bytes, a set, a device
  kNone,
  kBool,
  kInt,
  kBigInt,  // does not fit in 64 bits
  kFloat,
  kText,
  kTuple,
  kList,
  kDict,
  kGlobal,
  kStorage,
  kTensor,
  kObject,  // of a class that is only known by name
};

// Names a value of a PickleHeap. Values may be shared, and may contain themselves.
enum class PickleRef : uint32_t {};

struct PickleGlobal {
  std::string name;  // "module.name"
  GlobalMeaning meaning;
};

// Where elements lie, as a persistent id says it.
struct PickleStorage {
  PickleRef key{};
  GlobalMeaning type;
  uint64_t elements = 0;
  // A part of the storage of that key, as files of before PyTorch 0.4 may have it.
  uint64_t view_offset = 0;
  std::optional<uint64_t> view_elements;
  uint64_t at = 0;  // in the pickle
};

struct PickleTensor {
  static constexpr uint32_t kNoStorage = UINT32_MAX;  // a tensor of the meta device

  uint32_t storage = kNoStorage;
  PickleRef dtype_name{};  // a global, where the dtype is not the storage's
  GlobalMeaning dtype;
  uint64_t offset = 0;  // in elements of its dtype
  std::vector<uint64_t> shape;
  std::vector<uint64_t> strides;  // in elements, as many as dims
  // Its values are made from the elements when it is loaded: conjugated, negated or
  // converted.
  bool altered = false;
};

// Memory is bounded: a full heap gives every further value the ref of one kOther.
// Not thread-safe.
class PickleHeap {
 public:
  PickleHeap();

  // True once something did not fit; what is in it then is not the pickle's.
  bool full() const { return full_; }

  PickleRef Other() const { return PickleRef{0}; }
  PickleRef None() const { return PickleRef{1}; }
  PickleRef Opaque() const { return PickleRef{4}; }
  PickleRef Bool(bool value) const { return PickleRef{value ? 3u : 2u}; }
  PickleRef Int(int64_t value);
  // Little-endian two's complement, as LONG1 has it.
  PickleRef BigInt(std::string_view bytes);
  PickleRef Float(double value);
  // Text too long to be a name is kept as its length only, see TextOf().
  PickleRef Text(std::string_view text);
  PickleRef Tuple(std::span<const PickleRef> items);
  PickleRef List();
  // ordered: a collections.OrderedDict or Counter, which may have attributes.
  PickleRef Dict(bool ordered);
  PickleRef Global(std::string_view module, std::string_view name, bool in_script);
  PickleRef Storage(PickleStorage storage);
  PickleRef Tensor(PickleTensor tensor);
  // type: a global.
  PickleRef Object(PickleRef type);

  PickleKind KindOf(PickleRef ref) const { return value(ref).kind; }
  bool IsOrdered(PickleRef dict) const { return value(dict).number != 0; }
  // Nothing for another kind.
  std::optional<int64_t> IntOf(PickleRef ref) const;
  std::optional<double> FloatOf(PickleRef ref) const;
  std::optional<bool> BoolOf(PickleRef ref) const;
  // Nothing for another kind, and for text above kMaxPickleTextBytes.
  std::optional<std::string_view> TextOf(PickleRef ref) const;
  bool IsBigInt(PickleRef ref, std::string_view bytes) const;
  // A tuple's or list's items; a dict's keys and values, by turns; an object's
  // state, if it has one; else nothing. Valid until the heap changes.
  std::span<const PickleRef> ItemsOf(PickleRef ref) const;
  // REQUIRES: of that kind.
  const PickleGlobal& GlobalOf(PickleRef ref) const { return globals_[value(ref).index]; }
  const PickleStorage& StorageOf(PickleRef ref) const { return storages_[value(ref).index]; }
  const PickleTensor& TensorOf(PickleRef ref) const { return tensors_[value(ref).index]; }
  uint32_t StorageIndexOf(PickleRef ref) const { return value(ref).index; }
  // Which of all tensors it is, from 0 on.
  uint32_t TensorIndexOf(PickleRef ref) const { return value(ref).index; }
  bool IsParameter(PickleRef object) const {
    return GlobalOf(PickleRef{static_cast<uint32_t>(value(object).number)}).meaning.kind ==
           GlobalKind::kParameter;
  }

  const std::vector<PickleStorage>& storages() const { return storages_; }
  const std::vector<PickleTensor>& tensors() const { return tensors_; }
  size_t tensor_count() const { return tensors_.size(); }

  // Adds to a list, or a key or a value to a dict. REQUIRES: a list or dict.
  void Append(PickleRef container, PickleRef item);
  // REQUIRES: an object.
  void SetState(PickleRef object, PickleRef state);
  // REQUIRES: a tensor.
  void SetAltered(PickleRef tensor) { tensors_[value(tensor).index].altered = true; }
  // Makes it the same as another value.
  void Become(PickleRef ref, PickleRef other);

 private:
  struct Value {
    PickleKind kind = PickleKind::kOther;
    uint32_t index = 0;   // into the vector of its kind; the length of text and tuples
    uint64_t number = 0;  // an int or float; where text and tuples begin
  };
  const Value& value(PickleRef ref) const { return values_[static_cast<uint32_t>(ref)]; }
  PickleRef Add(Value value);
  PickleRef AddText(PickleKind kind, std::string_view text);
  // Whether so many more refs fit.
  bool Charge(uint64_t refs);

  std::vector<Value> values_;
  std::vector<PickleRef> items_;  // of tuples
  std::vector<std::vector<PickleRef>> containers_;
  std::string text_;
  std::vector<PickleGlobal> globals_;
  std::vector<PickleStorage> storages_;
  std::vector<PickleTensor> tensors_;
  uint64_t charged_ = 0;
  bool full_ = false;
};

// Text above it is never a name.
inline constexpr size_t kMaxPickleTextBytes = 64 * 1024;

}  // namespace warmset
