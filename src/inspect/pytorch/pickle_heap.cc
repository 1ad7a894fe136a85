#include "inspect/pytorch/pickle_heap.h"

#include <bit>

#include "base/strong.h"

namespace warmset {
namespace {

// Together they keep a heap below about 250 MB. A checkpoint of 100,000 tensors
// takes a third of them.
constexpr size_t kMaxValues = 4'000'000;
constexpr uint64_t kMaxCharge = 16'000'000;  // refs, 4 bytes each
constexpr size_t kMaxTextBytes = 48 * kMiB;

// What a container, a global or a tensor costs, in refs.
constexpr uint64_t kContainerCharge = 12;
constexpr uint64_t kGlobalCharge = 24;
constexpr uint64_t kStorageCharge = 16;
constexpr uint64_t kTensorCharge = 32;

constexpr uint32_t kLongText = UINT32_MAX;

}  // namespace

PickleHeap::PickleHeap() {
  values_ = {{PickleKind::kOther}, {PickleKind::kNone}, {PickleKind::kBool, 0, 0},
             {PickleKind::kBool, 0, 1}, {PickleKind::kOpaque}};
}

PickleRef PickleHeap::Add(Value value) {
  if (full_ || values_.size() == kMaxValues) {
    full_ = true;
    return Other();
  }
  values_.push_back(value);
  return PickleRef{static_cast<uint32_t>(values_.size() - 1)};
}

bool PickleHeap::Charge(uint64_t refs) {
  if (full_ || refs > kMaxCharge - charged_) {
    full_ = true;
    return false;
  }
  charged_ += refs;
  return true;
}

PickleRef PickleHeap::Int(int64_t value) {
  return Add({PickleKind::kInt, 0, static_cast<uint64_t>(value)});
}

PickleRef PickleHeap::BigInt(std::string_view bytes) {
  if (bytes.size() > sizeof(uint64_t)) return AddText(PickleKind::kBigInt, bytes);
  const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
  uint64_t value = negative ? ~uint64_t{0} : 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  return Int(static_cast<int64_t>(value));
}

PickleRef PickleHeap::Float(double value) {
  return Add({PickleKind::kFloat, 0, std::bit_cast<uint64_t>(value)});
}

PickleRef PickleHeap::Text(std::string_view text) {
  if (text.size() > kMaxPickleTextBytes) return Add({PickleKind::kText, kLongText, 0});
  return AddText(PickleKind::kText, text);
}

PickleRef PickleHeap::AddText(PickleKind kind, std::string_view text) {
  if (text.size() > kMaxTextBytes - text_.size()) {
    full_ = true;
    return Other();
  }
  const uint64_t begin = text_.size();
  text_.append(text);
  return Add({kind, static_cast<uint32_t>(text.size()), begin});
}

PickleRef PickleHeap::Tuple(std::span<const PickleRef> items) {
  if (!Charge(items.size())) return Other();
  const uint64_t begin = items_.size();
  items_.insert(items_.end(), items.begin(), items.end());
  return Add({PickleKind::kTuple, static_cast<uint32_t>(items.size()), begin});
}

PickleRef PickleHeap::List() {
  if (!Charge(kContainerCharge)) return Other();
  containers_.emplace_back();
  return Add({PickleKind::kList, static_cast<uint32_t>(containers_.size() - 1), 0});
}

PickleRef PickleHeap::Dict(bool ordered) {
  if (!Charge(kContainerCharge)) return Other();
  containers_.emplace_back();
  return Add({PickleKind::kDict, static_cast<uint32_t>(containers_.size() - 1), ordered ? 1u : 0u});
}

PickleRef PickleHeap::Global(std::string_view module, std::string_view name, bool in_script) {
  if (!Charge(kGlobalCharge + (module.size() + name.size()) / sizeof(PickleRef))) return Other();
  globals_.push_back({std::string(module).append(".").append(name),
                      MeaningOfGlobal(module, name, in_script)});
  return Add({PickleKind::kGlobal, static_cast<uint32_t>(globals_.size() - 1), 0});
}

PickleRef PickleHeap::Storage(PickleStorage storage) {
  if (!Charge(kStorageCharge)) return Other();
  storages_.push_back(storage);
  return Add({PickleKind::kStorage, static_cast<uint32_t>(storages_.size() - 1), 0});
}

PickleRef PickleHeap::Tensor(PickleTensor tensor) {
  if (!Charge(kTensorCharge + 4 * tensor.shape.size())) return Other();
  tensors_.push_back(std::move(tensor));
  return Add({PickleKind::kTensor, static_cast<uint32_t>(tensors_.size() - 1), 0});
}

PickleRef PickleHeap::Object(PickleRef type) {
  if (!Charge(kContainerCharge)) return Other();
  containers_.emplace_back();
  return Add({PickleKind::kObject, static_cast<uint32_t>(containers_.size() - 1),
              static_cast<uint32_t>(type)});
}

std::optional<int64_t> PickleHeap::IntOf(PickleRef ref) const {
  if (KindOf(ref) != PickleKind::kInt) return std::nullopt;
  return static_cast<int64_t>(value(ref).number);
}

std::optional<double> PickleHeap::FloatOf(PickleRef ref) const {
  if (KindOf(ref) != PickleKind::kFloat) return std::nullopt;
  return std::bit_cast<double>(value(ref).number);
}

std::optional<bool> PickleHeap::BoolOf(PickleRef ref) const {
  if (KindOf(ref) != PickleKind::kBool) return std::nullopt;
  return value(ref).number != 0;
}

std::optional<std::string_view> PickleHeap::TextOf(PickleRef ref) const {
  const Value& text = value(ref);
  if (text.kind != PickleKind::kText || text.index == kLongText) return std::nullopt;
  return std::string_view(text_).substr(text.number, text.index);
}

bool PickleHeap::IsBigInt(PickleRef ref, std::string_view bytes) const {
  const Value& number = value(ref);
  return number.kind == PickleKind::kBigInt &&
         std::string_view(text_).substr(number.number, number.index) == bytes;
}

std::span<const PickleRef> PickleHeap::ItemsOf(PickleRef ref) const {
  const Value& whole = value(ref);
  switch (whole.kind) {
    case PickleKind::kTuple:
      return std::span(items_).subspan(whole.number, whole.index);
    case PickleKind::kList:
    case PickleKind::kDict:
    case PickleKind::kObject:
      return containers_[whole.index];
    default:
      return {};
  }
}

void PickleHeap::Append(PickleRef container, PickleRef item) {
  if (!Charge(2)) return;  // a growing vector takes up to twice its size
  containers_[value(container).index].push_back(item);
}

void PickleHeap::SetState(PickleRef object, PickleRef state) {
  containers_[value(object).index] = {state};
}

void PickleHeap::Become(PickleRef ref, PickleRef other) {
  values_[static_cast<uint32_t>(ref)] = value(other);
}

}  // namespace warmset
