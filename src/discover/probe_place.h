// Whether a folder's disk or server answers.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "base/loose_threads.h"
#include "discover/silent_places.h"

namespace warmset {

// Looks at a folder on a thread of its own and waits for it. False when it does not come
// back for that long: then the folder is silent until it does. False, too, when the folder
// is silent already, and when asked to stop. A folder that is not there is an answer. The
// first two must outlive the thread.
bool Answers(const std::string& folder, SilentPlaces& silent, LooseThreads& threads,
             std::chrono::milliseconds patience, const std::stop_token& stop);

}  // namespace warmset
