// What the functions and classes on the list of allowed globals would do, done
// with plain data.
#pragma once

#include <span>

#include "base/status.h"
#include "inspect/pytorch/pickle_heap.h"

namespace warmset {

// The value of callable(*args). kUnsafeModel when it is on the list, but not to be
// called; kUnsupportedFormat for a kind of tensor that is not read here;
// kCorruptedModel when the arguments don't fit. REQUIRES: `callable` is a global
// that is not forbidden.
StatusOr<PickleRef> CallGlobal(PickleHeap& heap, PickleRef callable,
                               std::span<const PickleRef> args);

// An object of a class, as NEWOBJ makes it. As above.
StatusOr<PickleRef> NewObject(PickleHeap& heap, PickleRef type, std::span<const PickleRef> args);

// Gives an object the state that BUILD has for it. kCorruptedModel for what can't
// have any.
Status SetObjectState(PickleHeap& heap, PickleRef object, PickleRef state);

// The storage that a persistent id stands for; kCorruptedModel for any other id.
// at: where in the pickle.
StatusOr<PickleRef> LoadStorage(PickleHeap& heap, PickleRef id, uint64_t at);

}  // namespace warmset
