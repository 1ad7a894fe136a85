// Where in a file the elements of a pickle's tensors lie.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/status.h"
#include "inspect/format_reader.h"
#include "inspect/problems.h"
#include "inspect/pytorch/pickle_heap.h"

namespace warmset {

// The bytes of a storage.
struct StoragePlace {
  uint64_t offset = 0;  // in the file
  uint64_t bytes = 0;
  bool packed = false;  // compressed: the elements lie nowhere in the file
};

// Finds a storage's bytes; kCorruptedModel when they are not there or not as many
// as it says.
using FindStorage = std::function<StatusOr<StoragePlace>(const PickleStorage& storage)>;

// Lists every tensor of the value in contents, where `find` says that it lies, under
// names that begin with the prefix.
// Tensors that break the rules, or that are of a dtype that is not read here, go to
// `problems` and are left out.
void PlaceTensors(const PickleHeap& heap, PickleRef root, std::string_view prefix,
                  const FindStorage& find, FileContents& contents, Problems& problems);

}  // namespace warmset
