// A pickle machine that makes plain data and runs nothing.
//
// It knows every opcode, so that it can look on behind what it refuses: a
// payload is found wherever in a stream it stands, also when the stream breaks
// off after it. What is refused is judged by lists of what models need, never by
// lists of what is dangerous.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/byte_source.h"
#include "inspect/problems.h"
#include "inspect/pytorch/opcodes.h"
#include "inspect/pytorch/pickle_heap.h"

namespace warmset {

// Where a pickle stands, for what is said about it.
struct PicklePlace {
  std::string name;  // "archive/data.pkl"; empty: the file itself
  // Where the source begins in the file; nothing when it is unpacked from there.
  std::optional<uint64_t> file_offset = 0;
  bool in_script = false;  // belongs to a TorchScript archive
};

// What was met in the streams so far.
struct PickleTraits {
  bool forbidden = false;         // a global or an opcode that makes it unsafe
  bool called = false;            // a global was called, before anything was broken
  bool globals = false;           // any
  bool persistent_ids = false;
  bool broken = false;            // a stream breaks the rules
  bool other_protocol = false;    // OpcodeUse::kData
  bool juggled = false;           // OpcodeUse::kJuggle
};

// How many operations a file's pickles have left together: a second's work. A
// checkpoint of 100,000 tensors takes 5 million.
struct PickleBudget {
  uint64_t operations = 40'000'000;
};

// Runs the streams of one source, one after another. Bounded in memory by the heap
// and in time by the budget. Not thread-safe; source, heap, budget and problems must
// outlive it.
class PickleInterpreter {
 public:
  // Runs from `begin` on.
  PickleInterpreter(ByteSource& source, uint64_t begin, PicklePlace place, PickleHeap& heap,
                    PickleBudget& budget, Problems& problems);

  // Runs the next stream up to its STOP. Its value, or nothing when it breaks off or
  // was refused; problems say why. An error only when the source can't be read.
  StatusOr<std::optional<PickleRef>> RunStream();

  // Behind what was read.
  uint64_t offset() const { return in_.offset(); }
  uint64_t remaining() const { return in_.remaining(); }
  const PickleTraits& traits() const { return traits_; }

 private:
  enum class Step { kNext, kStopped, kBroken };

  Step Execute(Opcode opcode);
  void Judge(Opcode opcode);
  // Reading arguments. Nothing when the stream ends before; it is noted then.
  template <typename T>
  std::optional<T> Number();
  std::optional<std::string> Line();
  // Bytes after a length; long ones are skipped and empty.
  std::optional<std::string> Counted(std::optional<uint64_t> bytes);
  std::nullopt_t CutOff(const Status& status);

  // The stack. Missing values are noted, and kOther.
  void Push(PickleRef value);
  PickleRef Pop();
  PickleRef Top();
  std::vector<PickleRef> PopToMark();
  std::vector<PickleRef> PopItems(size_t count);

  void PushGlobal(std::string_view module, std::string_view name);
  void PushStackGlobal();
  void PushCalled();
  void PushText(const std::optional<std::string>& text);
  void PushNumberLine(Opcode opcode, const std::string& line);
  void Memoize(uint64_t index);
  void Recall(uint64_t index);
  void Reduce(bool new_object);
  void Build();
  void Append(std::span<const PickleRef> items);
  void SetItems(std::span<const PickleRef> items);
  void PushDict(std::span<const PickleRef> items);
  void LoadPersistent(PickleRef id);
  void PushResult(StatusOr<PickleRef> result);
  void Refuse(const Status& status);

  // Each kind is noted once a stream, forbidden names once each.
  void Forbid(std::string_view what);
  void Unsupported(std::string_view what);
  void Broken(std::string_view what);
  void Break(const Status& reason);
  void Note(ErrorCode code, std::string_view what);

  SourceReader in_;
  const PicklePlace place_;
  PickleHeap& heap_;
  PickleBudget& budget_;
  Problems& problems_;
  PickleTraits traits_;
  uint64_t operations_ = 0;  // so far
  std::set<std::string, std::less<>> forbidden_;  // noted already

  // Of the stream that runs.
  std::vector<PickleRef> stack_;
  std::vector<size_t> marks_;
  std::vector<PickleRef> memo_;
  uint64_t at_ = 0;           // of the opcode
  bool cut_off_ = false;
  bool stream_unsupported_ = false;
  bool stream_broken_ = false;
  Status read_error_;  // of the source
};

}  // namespace warmset
