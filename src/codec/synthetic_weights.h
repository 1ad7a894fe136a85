// Weights as trained models have them, for tests and benchmarks: Gaussian rows
// whose scales are log-normal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/dtype.h"

namespace warmset::codec {

struct SyntheticWeights {
  DType dtype = DType::kBF16;
  // The dtype that the weights were rounded to before; kInvalid for none.
  DType cast_from = DType::kInvalid;
  size_t rows = 64;
  size_t columns = 1024;
  uint64_t seed = 1;
};

// The rows' scales have the median 0.02 and the deviation 0.5 of their
// logarithm. 8-bit types are quantised: F8_E4M3 and F8_E5M2 by row, so that the
// row's largest weight is the type's largest number; I8 by column, the channel
// of its input, to +-127.
std::vector<std::byte> MakeSyntheticWeights(const SyntheticWeights& weights);

}  // namespace warmset::codec
