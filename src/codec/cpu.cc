#include "codec/cpu.h"

#include <array>
#include <cstdlib>

#include "fmt/format.h"

namespace warmset::codec {
namespace {

// Best first.
constexpr std::array kSets = {InstructionSet::kAvx512, InstructionSet::kAvx2,
                              InstructionSet::kScalar};

}  // namespace

std::string_view InstructionSetName(InstructionSet set) {
  switch (set) {
    case InstructionSet::kScalar:
      return "scalar";
    case InstructionSet::kAvx2:
      return "avx2";
    case InstructionSet::kAvx512:
      return "avx512";
  }
  return "?";
}

bool CanRun(InstructionSet set) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("popcnt");
  switch (set) {
    case InstructionSet::kScalar:
      return true;
    case InstructionSet::kAvx2:
      return avx2;
    case InstructionSet::kAvx512:
      return avx2 && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
  }
  return false;
#else
  return set == InstructionSet::kScalar;
#endif
}

StatusOr<InstructionSet> ChooseInstructionSet(std::string_view wish) {
  for (const InstructionSet set : kSets) {
    if (wish.empty() && CanRun(set)) return set;
    if (wish == InstructionSetName(set)) {
      if (CanRun(set)) return set;
      return Error(ErrorCode::kInvalidConfig,
                   fmt::format("WARMSET_CPU={}: this processor can't run it; unset it", wish));
    }
  }
  return Error(ErrorCode::kInvalidConfig,
               fmt::format("WARMSET_CPU={}: use scalar, avx2 or avx512, or unset it", wish));
}

const StatusOr<InstructionSet>& SelectedInstructionSet() {
  static const StatusOr<InstructionSet> selected = [] {
    const char* wish = std::getenv("WARMSET_CPU");
    return ChooseInstructionSet(wish == nullptr ? "" : wish);
  }();
  return selected;
}

}  // namespace warmset::codec
