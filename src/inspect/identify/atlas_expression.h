// Many names in one text, as the atlas is written:
//
//   layers.#.{k_proj,q_proj}.weight   two names; '#' is any number
//   norm.weight:1                     of that rank; without: 1 for "bias", else 2
//   encoder.$12                       with what stands at place 12 of the shared texts
//
// Braces nest, and hold any of these.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"

namespace warmset {

// Calls visit(name, rank) for each name. The text must be well-formed: it is the
// program's own.
void ExpandNames(std::string_view text, std::span<const std::string_view> shared,
                 absl::FunctionRef<void(const std::string& name, size_t rank)> visit);

}  // namespace warmset
