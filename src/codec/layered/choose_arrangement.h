// What kind of data a block holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/layered/arrangement.h"
#include "tensor/dtype.h"

namespace warmset::codec {

// How to divide the elements, found by looking at all or some of them.
struct ArrangementChoice {
  Arrangement arrangement = Arrangement::kBF16;
  uint8_t zero_point = 0;  // of integers
};

// REQUIRES: a dtype of the layered codec; elements is not empty.
ArrangementChoice ChooseArrangement(DType dtype, std::span<const std::byte> elements);

}  // namespace warmset::codec
