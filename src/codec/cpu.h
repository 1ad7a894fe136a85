// Which instructions the codec uses.
#pragma once

#include <string_view>

#include "base/status.h"

namespace warmset::codec {

enum class InstructionSet {
  kScalar,  // any processor
  kAvx2,    // AVX2, BMI1 and POPCNT
  kAvx512,  // AVX-512 F, BW, VL, VBMI and VBMI2, BMI1, BMI2 and POPCNT
};

// "scalar", "avx2", "avx512".
std::string_view InstructionSetName(InstructionSet set);

// Whether this processor and this system run it.
bool CanRun(InstructionSet set);

// The set named by `wish`, or the best one that can run for an empty wish.
// kInvalidConfig for an unknown name and for a set that can't run here.
StatusOr<InstructionSet> ChooseInstructionSet(std::string_view wish);

// ChooseInstructionSet of the environment's WARMSET_CPU, read once.
const StatusOr<InstructionSet>& SelectedInstructionSet();

}  // namespace warmset::codec
