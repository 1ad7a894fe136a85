// What the keys of a pickle's dicts add to the names of tensors.
#pragma once

#include <cstddef>
#include <string>

#include "inspect/pytorch/pickle_heap.h"

namespace warmset {

// Texts and numbers as they are, None, True and False as Python writes them, tuples as
// "('a', 1)", a global by its name. Any other key, and one that would be longer than a
// name, is "<key N>" by its place in the dict, from 0 on.
std::string NameOfKey(const PickleHeap& heap, PickleRef key, size_t place);

// Equal for keys that a Python dict takes for the same one: 1, 1.0 and True are.
std::string IdentityOfKey(const PickleHeap& heap, PickleRef key);

}  // namespace warmset
