#include "inspect/gguf/tensor_types.h"

#include <array>
#include <string_view>

#include "fmt/format.h"

namespace warmset {
namespace {

// One type: its DType, or what it was called before it was removed.
struct TypeRow {
  DType dtype = DType::kInvalid;
  std::string_view removed = {};
};

constexpr std::array<TypeRow, 43> kTypes = {{
    {DType::kF32},              // 0
    {DType::kF16},              // 1
    {DType::kQ4_0},             // 2
    {DType::kQ4_1},             // 3
    {.removed = "Q4_2"},        // 4
    {.removed = "Q4_3"},        // 5
    {DType::kQ5_0},             // 6
    {DType::kQ5_1},             // 7
    {DType::kQ8_0},             // 8
    {DType::kQ8_1},             // 9
    {DType::kQ2_K},             // 10
    {DType::kQ3_K},             // 11
    {DType::kQ4_K},             // 12
    {DType::kQ5_K},             // 13
    {DType::kQ6_K},             // 14
    {DType::kQ8_K},             // 15
    {DType::kIQ2_XXS},          // 16
    {DType::kIQ2_XS},           // 17
    {DType::kIQ3_XXS},          // 18
    {DType::kIQ1_S},            // 19
    {DType::kIQ4_NL},           // 20
    {DType::kIQ3_S},            // 21
    {DType::kIQ2_S},            // 22
    {DType::kIQ4_XS},           // 23
    {DType::kI8},               // 24
    {DType::kI16},              // 25
    {DType::kI32},              // 26
    {DType::kI64},              // 27
    {DType::kF64},              // 28
    {DType::kIQ1_M},            // 29
    {DType::kBF16},             // 30
    {.removed = "Q4_0_4_4"},    // 31
    {.removed = "Q4_0_4_8"},    // 32
    {.removed = "Q4_0_8_8"},    // 33
    {DType::kTQ1_0},            // 34
    {DType::kTQ2_0},            // 35
    {.removed = "IQ4_NL_4_4"},  // 36
    {.removed = "IQ4_NL_4_8"},  // 37
    {.removed = "IQ4_NL_8_8"},  // 38
    {DType::kMXFP4},            // 39
    {DType::kNVFP4},            // 40
    {DType::kQ1_0},             // 41
    {DType::kQ2_0},             // 42
}};

// ggml gives its numbers out one after another, and forks begin some hundreds further on
// (ik_llama.cpp ends at 400 now). Beyond this it is damage.
constexpr uint32_t kEndOfPlausibleTypes = 1 << 16;

}  // namespace

StatusOr<DType> DTypeOfGgmlType(uint32_t type) {
  if (type >= kEndOfPlausibleTypes) {
    return Error(ErrorCode::kCorruptedModel, fmt::format("no ggml type has the number {}", type));
  }
  if (type >= kTypes.size()) {
    return Error(ErrorCode::kUnsupportedFormat,
                 fmt::format("its type has the number {}, which llama.cpp does not have as far as "
                             "is known here; ik_llama.cpp and other forks have types of their "
                             "own: use the program that made the file, or another quantisation "
                             "of the model",
                             type));
  }
  const TypeRow& row = kTypes[type];
  if (row.removed.empty()) return row.dtype;
  return Error(ErrorCode::kUnsupportedFormat,
               fmt::format("its type {} ({}) was removed from ggml; use another quantisation of "
                           "the model, or make it again with a current llama.cpp",
                           row.removed, type));
}

}  // namespace warmset
