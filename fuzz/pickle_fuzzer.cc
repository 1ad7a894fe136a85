// Pickles from a stranger.
#include "fuzz/fuzzer.h"
#include "inspect/pytorch/pickle_interpreter.h"
#include "inspect/pytorch/state_dict.h"
#include "inspect/pytorch/test_pickle.h"

using namespace warmset;
using namespace warmset::test_pickle;

std::vector<std::string> Seeds() {
  return {
      Stream(OrderedDict({{"w", TwoFloats()}, {"x", List({Int(1), "N", "\x88"})}})),
      Stream(Call(Global("torch._utils", "_rebuild_parameter"),
                  {TwoFloats(), "\x88", OrderedDict()})),
      Stream(Global("__torch__.net", "Net") + ")\x81" + Dict({{"weight", TwoFloats()}}) + "b"),
      Stream(Payload()),
      "(lp0\nI1\naL2L\naF0.5\naS'x'\nag0\na.",
      std::string("\x80\x04\x95\x11\0\0\0\0\0\0\0\x8c\2os\x94\x8c\6system\x93)R.", 28),
      Stream("N") + Stream("]q\1h\1a"),
      std::string("\x80\x02X\0\0\1\0w", 8),  // a text of 64 KiB that is cut off
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemorySource source(Bytes(data, size));
  PickleHeap heap;
  PickleBudget budget{.operations = 100'000};
  Problems problems;
  PickleInterpreter pickles(source, 0, {.name = "p", .in_script = size % 2 == 0}, heap, budget,
                            problems);
  while (pickles.remaining() != 0 && !pickles.traits().broken) {
    const uint64_t begin = pickles.offset();
    const auto value = pickles.RunStream();
    Promise(value.ok(), "memory can always be read");
    Promise(pickles.offset() > begin, "a stream has at least a byte");
    if (!*value) continue;
    (void)NameTensors(
        heap, **value, "", [](std::string_view, PickleRef) { return OkStatus(); },
        [](std::string_view) {});
    (void)TopLevelFacts(heap, **value);
  }
  Promise(!pickles.traits().forbidden || problems.worst() == Verdict::kUnsafe,
          "what is forbidden makes it unsafe");
  Promise(!pickles.traits().broken || problems.worst() >= Verdict::kIncomplete,
          "what is broken or cut off makes it corrupt or incomplete");
  return 0;
}
