// From run-time numbers to template arguments.
//
// Used with closures of an unnamed namespace only, so that each instruction
// set's file gets functions of its own.
#pragma once

#include "codec/layered/arrangement.h"

namespace warmset::codec {

// function.template operator()<A>() for the given arrangement.
// REQUIRES: arrangement <= kLastArrangement.
template <typename Function>
auto WithArrangement(Arrangement arrangement, Function function) {
  switch (arrangement) {
    case Arrangement::kBF16:
      return function.template operator()<Arrangement::kBF16>();
    case Arrangement::kF32:
      return function.template operator()<Arrangement::kF32>();
    case Arrangement::kF32HighHalf:
      return function.template operator()<Arrangement::kF32HighHalf>();
    case Arrangement::kF16:
      return function.template operator()<Arrangement::kF16>();
    case Arrangement::kF16ShortMantissa:
      return function.template operator()<Arrangement::kF16ShortMantissa>();
    case Arrangement::kF8E4M3:
      return function.template operator()<Arrangement::kF8E4M3>();
    case Arrangement::kF8E5M2:
      return function.template operator()<Arrangement::kF8E5M2>();
    case Arrangement::kInteger1:
      return function.template operator()<Arrangement::kInteger1>();
    case Arrangement::kInteger2:
      return function.template operator()<Arrangement::kInteger2>();
    case Arrangement::kInteger3:
      return function.template operator()<Arrangement::kInteger3>();
    case Arrangement::kInteger4:
      return function.template operator()<Arrangement::kInteger4>();
  }
  __builtin_unreachable();
}

// function.template operator()<W>() for a layer's width.
// REQUIRES: 1 <= width <= kMaxLayerWidth.
template <typename Function>
auto WithWidth(unsigned width, Function function) {
  switch (width) {
    case 1:
      return function.template operator()<1U>();
    case 2:
      return function.template operator()<2U>();
    case 3:
      return function.template operator()<3U>();
    default:
      return function.template operator()<4U>();
  }
}

}  // namespace warmset::codec
