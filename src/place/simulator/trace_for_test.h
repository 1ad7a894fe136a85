// A step of a run in words, for people who look for the cause of a violation.
#pragma once

#include <string>

#include "place/command.h"
#include "place/event.h"
#include "place/state.h"

namespace warmset::place {

// Every row and desire as it is.
std::string Trace(const State& state);
std::string Trace(const Event& event, const Commands& commands, Time now);

}  // namespace warmset::place
