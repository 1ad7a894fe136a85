// The encoding half of kAvx2Kernels; kernels.h says what each function does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/layered/kernels.h"

namespace warmset::codec {

size_t SplitAvx2(Arrangement arrangement, const SplitArguments& arguments);
size_t RankAvx2(uint8_t* symbols, size_t groups, const uint8_t* rank_of, uint8_t max_rank,
                uint8_t* verbatim);
size_t EncodeLayerAvx2(unsigned width, uint8_t* ranks, size_t words, uint8_t* planes);

}  // namespace warmset::codec
