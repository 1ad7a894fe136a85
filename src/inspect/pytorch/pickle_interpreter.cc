#include "inspect/pytorch/pickle_interpreter.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <utility>

#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/cut_off.h"
#include "inspect/pytorch/rebuild.h"
#include "inspect/shown.h"

namespace warmset {
namespace {

constexpr size_t kMaxStack = 4'000'000;
constexpr size_t kMaxMemo = 4'000'000;
constexpr size_t kMaxForbiddenNoted = 10;
constexpr uint64_t kMaxLineBytes = 64 * kKiB;
constexpr uint8_t kLastProtocol = 5;

constexpr std::string_view kInstead =
    "do not load it with PyTorch or pickle; get the model as safetensors";

// As modules and what is in them are called; those with other names would have to
// be made for it.
bool IsDottedName(std::string_view text) {
  const auto in_name = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '<' || c == '>' || c >= 0x80;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), in_name);
}

uint64_t FromBigEndian(uint64_t value) { return __builtin_bswap64(value); }

}  // namespace

PickleInterpreter::PickleInterpreter(ByteSource& source, uint64_t begin, PicklePlace place,
                                     PickleHeap& heap, PickleBudget& budget, Problems& problems)
    : in_(source, begin, source.size()),
      place_(std::move(place)),
      heap_(heap),
      budget_(budget),
      problems_(problems) {}

StatusOr<std::optional<PickleRef>> PickleInterpreter::RunStream() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  cut_off_ = stream_unsupported_ = stream_broken_ = false;
  Step step = Step::kNext;
  while (step == Step::kNext) {
    at_ = in_.offset();
    const auto opcode = Number<uint8_t>();
    if (!opcode) break;
    ++operations_;
    if (budget_.operations == 0 || stack_.size() + marks_.size() > kMaxStack ||
        heap_.full()) {
      Broken("it makes more values than any model has");
      step = Step::kBroken;
      break;
    }
    --budget_.operations;
    if (kOpcodeRows[*opcode].use == OpcodeUse::kNone) {
      Broken(fmt::format("byte {:#04x} at offset {} is no opcode of a pickle", *opcode, at_));
      step = Step::kBroken;
      break;
    }
    Judge(Opcode{*opcode});
    step = Execute(Opcode{*opcode});
  }
  RETURN_IF_ERROR(read_error_);
  if (step != Step::kStopped || stream_broken_) return std::nullopt;
  return stack_.back();
}

// What is told by the opcode alone.
void PickleInterpreter::Judge(Opcode opcode) {
  const OpcodeRow& row = kOpcodeRows[static_cast<uint8_t>(opcode)];
  switch (row.use) {
    case OpcodeUse::kNone:
    case OpcodeUse::kModel:
      return;
    case OpcodeUse::kData:
      traits_.other_protocol = true;
      break;
    case OpcodeUse::kJuggle:
      traits_.juggled = true;
      break;
    case OpcodeUse::kForeign:
      Forbid(fmt::format("opcode {}", row.name));
      return;
  }
  Unsupported(fmt::format("opcode {}", row.name));
}

PickleInterpreter::Step PickleInterpreter::Execute(Opcode opcode) {
  switch (opcode) {
    case Opcode::kProto:
      if (const auto protocol = Number<uint8_t>(); protocol && *protocol > kLastProtocol) {
        Broken(fmt::format("pickle protocol {} at offset {} is not known", *protocol, at_));
      }
      break;
    case Opcode::kFrame:
      (void)Number<uint64_t>();
      break;
    case Opcode::kStop:
      (void)Top();  // notes when there is none
      return stack_.empty() ? Step::kBroken : Step::kStopped;

    case Opcode::kMark:
      marks_.push_back(stack_.size());
      break;
    case Opcode::kPop:
      if (stack_.size() > (marks_.empty() ? 0 : marks_.back()) || marks_.empty()) {
        (void)Pop();
      } else {
        marks_.pop_back();
      }
      break;
    case Opcode::kPopMark:
      (void)PopToMark();
      break;
    case Opcode::kDup:
      Push(Top());
      break;

    case Opcode::kNone:
      Push(heap_.None());
      break;
    case Opcode::kNewTrue:
      Push(heap_.Bool(true));
      break;
    case Opcode::kNewFalse:
      Push(heap_.Bool(false));
      break;
    case Opcode::kBinInt:
      if (const auto value = Number<int32_t>()) Push(heap_.Int(*value));
      break;
    case Opcode::kBinInt1:
      if (const auto value = Number<uint8_t>()) Push(heap_.Int(*value));
      break;
    case Opcode::kBinInt2:
      if (const auto value = Number<uint16_t>()) Push(heap_.Int(*value));
      break;
    case Opcode::kBinFloat:
      if (const auto bits = Number<uint64_t>()) {
        Push(heap_.Float(std::bit_cast<double>(FromBigEndian(*bits))));
      }
      break;
    case Opcode::kLong1:
      if (const auto bytes = Counted(Number<uint8_t>())) Push(heap_.BigInt(*bytes));
      break;
    case Opcode::kLong4:
      if (const auto bytes = Counted(Number<uint32_t>())) Push(heap_.BigInt(*bytes));
      break;
    case Opcode::kInt:
    case Opcode::kLong:
    case Opcode::kFloat:
      if (const auto line = Line()) PushNumberLine(opcode, *line);
      break;

    case Opcode::kBinUnicode:
    case Opcode::kBinString:
      PushText(Counted(Number<uint32_t>()));
      break;
    case Opcode::kShortBinUnicode:
    case Opcode::kShortBinString:
      PushText(Counted(Number<uint8_t>()));
      break;
    case Opcode::kBinUnicode8:
      PushText(Counted(Number<uint64_t>()));
      break;
    case Opcode::kUnicode:
      PushText(Line());
      break;
    case Opcode::kString:
      if (auto line = Line()) {
        const bool quoted = line->size() >= 2 && line->front() == line->back();
        PushText(quoted ? line->substr(1, line->size() - 2) : *line);
      }
      break;
    case Opcode::kBinBytes:
      if (Counted(Number<uint32_t>())) Push(heap_.Opaque());
      break;
    case Opcode::kShortBinBytes:
      if (Counted(Number<uint8_t>())) Push(heap_.Opaque());
      break;
    case Opcode::kBinBytes8:
    case Opcode::kByteArray8:
      if (Counted(Number<uint64_t>())) Push(heap_.Opaque());
      break;
    case Opcode::kNextBuffer:
      Push(heap_.Opaque());
      break;
    case Opcode::kReadOnlyBuffer:
      (void)Top();
      break;

    case Opcode::kEmptyTuple:
      Push(heap_.Tuple({}));
      break;
    case Opcode::kTuple1:
      Push(heap_.Tuple(PopItems(1)));
      break;
    case Opcode::kTuple2:
      Push(heap_.Tuple(PopItems(2)));
      break;
    case Opcode::kTuple3:
      Push(heap_.Tuple(PopItems(3)));
      break;
    case Opcode::kTuple:
      Push(heap_.Tuple(PopToMark()));
      break;
    case Opcode::kEmptyList:
      Push(heap_.List());
      break;
    case Opcode::kList: {
      const auto items = PopToMark();
      Push(heap_.List());
      Append(items);
      break;
    }
    case Opcode::kEmptyDict:
      Push(heap_.Dict(/*ordered=*/false));
      break;
    case Opcode::kDict:
      PushDict(PopToMark());
      break;
    case Opcode::kEmptySet:
      Push(heap_.Opaque());
      break;
    case Opcode::kFrozenSet:
      (void)PopToMark();
      Push(heap_.Opaque());
      break;
    case Opcode::kAddItems:
      (void)PopToMark();
      (void)Top();
      break;
    case Opcode::kAppend:
      Append(PopItems(1));
      break;
    case Opcode::kAppends:
      Append(PopToMark());
      break;
    case Opcode::kSetItem:
      SetItems(PopItems(2));
      break;
    case Opcode::kSetItems:
      SetItems(PopToMark());
      break;

    case Opcode::kBinPut:
      if (const auto index = Number<uint8_t>()) Memoize(*index);
      break;
    case Opcode::kLongBinPut:
      if (const auto index = Number<uint32_t>()) Memoize(*index);
      break;
    case Opcode::kMemoize:
      Memoize(memo_.size());
      break;
    case Opcode::kBinGet:
      if (const auto index = Number<uint8_t>()) Recall(*index);
      break;
    case Opcode::kLongBinGet:
      if (const auto index = Number<uint32_t>()) Recall(*index);
      break;
    case Opcode::kPut:
    case Opcode::kGet:
      if (const auto line = Line()) {
        uint64_t index = kMaxMemo;  // what is no number is too large as well
        std::from_chars(line->data(), line->data() + line->size(), index);
        opcode == Opcode::kPut ? Memoize(index) : Recall(index);
      }
      break;

    case Opcode::kGlobal:
    case Opcode::kInst: {
      const auto module = Line();
      const auto name = module ? Line() : std::nullopt;
      if (!name) break;
      if (opcode == Opcode::kInst) (void)PopToMark();
      PushGlobal(*module, *name);
      if (opcode == Opcode::kInst) {
        (void)Pop();
        PushCalled();
      }
      break;
    }
    case Opcode::kStackGlobal:
      PushStackGlobal();
      break;
    case Opcode::kExt1:
      if (Number<uint8_t>()) Push(heap_.Other());
      break;
    case Opcode::kExt2:
      if (Number<uint16_t>()) Push(heap_.Other());
      break;
    case Opcode::kExt4:
      if (Number<uint32_t>()) Push(heap_.Other());
      break;
    case Opcode::kObj:
      (void)PopToMark();
      PushCalled();
      break;
    case Opcode::kNewObjEx:
      (void)PopItems(3);
      PushCalled();
      break;
    case Opcode::kNewObj:
      Reduce(/*new_object=*/true);
      break;
    case Opcode::kReduce:
      Reduce(/*new_object=*/false);
      break;
    case Opcode::kBuild:
      Build();
      break;
    case Opcode::kBinPersId:
      LoadPersistent(Pop());
      break;
    case Opcode::kPersId:
      if (Line()) {
        traits_.persistent_ids = true;
        Push(heap_.Other());
      }
      break;
  }
  return cut_off_ ? Step::kBroken : Step::kNext;
}

template <typename T>
std::optional<T> PickleInterpreter::Number() {
  const auto value = in_.Read<T>();
  if (!value.ok()) return CutOff(value.status());
  return *value;
}

std::optional<std::string> PickleInterpreter::Line() {
  std::string line;
  for (;;) {
    const auto c = Number<char>();
    if (!c) return std::nullopt;
    if (*c == '\n') return line;
    // Longer ones are no names; their beginning will do.
    if (line.size() < kMaxLineBytes) line.push_back(*c);
  }
}

std::optional<std::string> PickleInterpreter::Counted(std::optional<uint64_t> bytes) {
  if (!bytes) return std::nullopt;
  if (*bytes > kMaxPickleTextBytes) {
    const Status skipped = in_.Skip(*bytes);
    if (!skipped.ok()) return CutOff(skipped);
    return std::string(kMaxPickleTextBytes + 1, '\0');
  }
  auto text = in_.ReadString(*bytes, kMaxPickleTextBytes);
  if (!text.ok()) return CutOff(text.status());
  return *std::move(text);
}

std::nullopt_t PickleInterpreter::CutOff(const Status& status) {
  cut_off_ = true;
  const uint64_t end = in_.offset() + in_.remaining();
  if (CodeOf(status) == ErrorCode::kCorruptedModel) {
    Broken(fmt::format("it ends at offset {}, within a pickle", end));
  } else if (CodeOf(status) == ErrorCode::kIncompleteModel) {
    Break(CutOffWithin(end, "a pickle"));
  } else if (read_error_.ok()) {
    read_error_ = status;
  }
  return std::nullopt;
}

void PickleInterpreter::Push(PickleRef value) { stack_.push_back(value); }

PickleRef PickleInterpreter::Top() {
  if (stack_.size() > (marks_.empty() ? 0 : marks_.back())) return stack_.back();
  Broken(fmt::format("the opcode at offset {} finds no value", at_));
  return heap_.Other();
}

PickleRef PickleInterpreter::Pop() {
  const PickleRef value = Top();
  if (stack_.size() > (marks_.empty() ? 0 : marks_.back())) stack_.pop_back();
  return value;
}

std::vector<PickleRef> PickleInterpreter::PopToMark() {
  if (marks_.empty()) {
    Broken(fmt::format("the opcode at offset {} finds no mark", at_));
    return {};
  }
  const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
  std::vector<PickleRef> items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

std::vector<PickleRef> PickleInterpreter::PopItems(size_t count) {
  std::vector<PickleRef> items(count);
  for (size_t i = count; i > 0; --i) items[i - 1] = Pop();
  return items;
}

void PickleInterpreter::PushCalled() {
  traits_.called = traits_.called || !stream_broken_;
  Push(heap_.Other());
}

void PickleInterpreter::PushText(const std::optional<std::string>& text) {
  if (text) Push(heap_.Text(*text));
}

void PickleInterpreter::PushNumberLine(Opcode opcode, const std::string& line) {
  // INT has 00 and 01 for false and true; LONG may end in L.
  if (opcode == Opcode::kInt && (line == "00" || line == "01")) {
    Push(heap_.Bool(line == "01"));
    return;
  }
  int64_t value = 0;
  const char* end = line.data() + line.size();
  const auto [stopped, error] = std::from_chars(line.data(), end, value);
  const bool whole = opcode != Opcode::kFloat && error == std::errc() &&
                     (stopped == end || (stopped + 1 == end && *stopped == 'L'));
  // Numbers that are larger, or in other notations, are nobody's shape or size.
  Push(whole ? heap_.Int(value) : heap_.Other());
}

void PickleInterpreter::PushGlobal(std::string_view module, std::string_view name) {
  if (!IsDottedName(module) || !IsDottedName(name)) {
    Broken(fmt::format("'{}.{}' at offset {} is no name", Shown(module), Shown(name), at_));
  }
  traits_.globals = true;
  const PickleRef global = heap_.Global(module, name, place_.in_script);
  Push(global);
  if (heap_.full()) return;
  const PickleGlobal& known = heap_.GlobalOf(global);
  if (known.meaning.kind == GlobalKind::kForbidden) Forbid(Shown(known.name));
}

void PickleInterpreter::PushStackGlobal() {
  const auto names = PopItems(2);
  const auto module = heap_.TextOf(names[0]);
  const auto name = heap_.TextOf(names[1]);
  if (module && name) {
    PushGlobal(std::string(*module), std::string(*name));
    return;
  }
  traits_.globals = true;
  Forbid("a name that is made while it is loaded");
  Push(heap_.Other());
}

void PickleInterpreter::Memoize(uint64_t index) {
  const PickleRef value = Top();
  if (index >= kMaxMemo || (index > 4 * kKiB && index > 2 * operations_)) {
    Broken(fmt::format("memo entry {} at offset {} is far beyond those before it", index, at_));
    return;
  }
  if (index >= memo_.size()) memo_.resize(index + 1, heap_.Other());
  memo_[index] = value;
}

void PickleInterpreter::Recall(uint64_t index) {
  if (index < memo_.size()) {
    Push(memo_[index]);
    return;
  }
  Broken(fmt::format("memo entry {} is used at offset {} and was never made", index, at_));
  Push(heap_.Other());
}

void PickleInterpreter::Reduce(bool new_object) {
  const auto popped = PopItems(2);
  const PickleRef callable = popped[0];
  traits_.called = traits_.called || (!stream_broken_ &&
                                      heap_.KindOf(callable) == PickleKind::kGlobal &&
                                      heap_.KindOf(popped[1]) == PickleKind::kTuple);
  const auto items = heap_.ItemsOf(popped[1]);
  const std::vector<PickleRef> args(items.begin(), items.end());
  switch (heap_.KindOf(callable)) {
    case PickleKind::kGlobal:
      break;
    case PickleKind::kOther:
      Push(heap_.Other());
      return;
    case PickleKind::kObject:
    case PickleKind::kStorage:
    case PickleKind::kTensor:
      Forbid("an object that is called");
      Push(heap_.Other());
      return;
    default:
      Broken(fmt::format("it calls what is no function at offset {}", at_));
      Push(heap_.Other());
      return;
  }
  if (heap_.GlobalOf(callable).meaning.kind == GlobalKind::kForbidden) {
    Push(heap_.Object(callable));
    return;
  }
  if (heap_.KindOf(popped[1]) != PickleKind::kTuple) {
    Broken(fmt::format("{} is called at offset {} with what is no tuple",
                       heap_.GlobalOf(callable).name, at_));
    Push(heap_.Other());
    return;
  }
  PushResult(new_object ? NewObject(heap_, callable, args) : CallGlobal(heap_, callable, args));
}

void PickleInterpreter::Build() {
  const PickleRef state = Pop();
  const PickleRef object = Top();
  const PickleKind kind = heap_.KindOf(object);
  if (kind == PickleKind::kGlobal || kind == PickleKind::kStorage) {
    Forbid("BUILD on what is shared with the program");  // would change a class for all
    return;
  }
  const Status status = SetObjectState(heap_, object, state);
  if (!status.ok()) Refuse(status);
}

void PickleInterpreter::PushResult(StatusOr<PickleRef> result) {
  Push(result.ok() ? *result : heap_.Other());
  if (!result.ok()) Refuse(result.status());
}

void PickleInterpreter::Refuse(const Status& status) {
  const std::string what = fmt::format("{} (at offset {})", Message(status), at_);
  switch (CodeOf(status)) {
    case ErrorCode::kUnsafeModel:
      traits_.forbidden = true;
      Note(ErrorCode::kUnsafeModel, fmt::format("{}; {}", what, kInstead));
      break;
    case ErrorCode::kCorruptedModel:
      Broken(what);
      break;
    default:
      Note(CodeOf(status), what);
  }
}

void PickleInterpreter::Append(std::span<const PickleRef> items) {
  const PickleRef list = Top();
  switch (heap_.KindOf(list)) {
    case PickleKind::kList:
      for (const PickleRef item : items) heap_.Append(list, item);
      return;
    case PickleKind::kOther:
      return;
    case PickleKind::kObject:
    case PickleKind::kGlobal:
    case PickleKind::kStorage:
    case PickleKind::kTensor:
      Forbid("APPEND to an object that is no list");
      return;
    default:
      Broken(fmt::format("it appends to what is no list at offset {}", at_));
  }
}

void PickleInterpreter::SetItems(std::span<const PickleRef> items) {
  const PickleRef dict = Top();
  switch (heap_.KindOf(dict)) {
    case PickleKind::kDict:
      if (items.size() % 2 != 0) {
        Broken(fmt::format("a key at offset {} has no value", at_));
        return;
      }
      for (const PickleRef item : items) heap_.Append(dict, item);
      return;
    case PickleKind::kOther:
      return;
    case PickleKind::kObject:
    case PickleKind::kGlobal:
    case PickleKind::kStorage:
    case PickleKind::kTensor:
      // The loader would run the object's own method on a stranger's arguments.
      Forbid("SETITEM on an object that is no dict");
      return;
    default:
      Broken(fmt::format("it sets an item of what is no dict at offset {}", at_));
  }
}

void PickleInterpreter::PushDict(std::span<const PickleRef> items) {
  Push(heap_.Dict(/*ordered=*/false));
  if (!heap_.full()) SetItems(items);
}

void PickleInterpreter::LoadPersistent(PickleRef id) {
  traits_.persistent_ids = true;
  // A class of a saved module, with its source code; the class is a global.
  const auto items = heap_.ItemsOf(id);
  if (heap_.KindOf(id) == PickleKind::kTuple && items.size() == 4 &&
      heap_.TextOf(items[0]) == "module") {
    Push(items[1]);
    return;
  }
  PushResult(LoadStorage(heap_, id, at_));
}

void PickleInterpreter::Forbid(std::string_view what) {
  traits_.forbidden = true;
  if (forbidden_.contains(what) || forbidden_.size() == kMaxForbiddenNoted) return;
  forbidden_.emplace(what);
  Note(ErrorCode::kUnsafeModel,
       fmt::format("{} at offset {} of the pickle is not on the list of what models need: loading "
                   "it may run code; {}",
                   what, at_, kInstead));
}

void PickleInterpreter::Unsupported(std::string_view what) {
  if (stream_unsupported_) return;
  stream_unsupported_ = true;
  Note(ErrorCode::kUnsupportedFormat,
       fmt::format("{} at offset {} of the pickle is not what torch.save() writes; load it with "
                   "the program that wrote it and save it again, best as safetensors",
                   what, at_));
}

void PickleInterpreter::Broken(std::string_view what) {
  Break(Error(ErrorCode::kCorruptedModel, what));
}

void PickleInterpreter::Break(const Status& reason) {
  traits_.broken = true;
  if (stream_broken_) return;
  stream_broken_ = true;
  Note(CodeOf(reason), Message(reason));
}

void PickleInterpreter::Note(ErrorCode code, std::string_view what) {
  Status problem =
      Error(code, place_.name.empty() ? std::string(what)
                                      : fmt::format("{}: {}", Shown(place_.name), what));
  if (place_.file_offset) problem = AtOffset(std::move(problem), *place_.file_offset + at_);
  problems_.Add(std::move(problem));
}

}  // namespace warmset
