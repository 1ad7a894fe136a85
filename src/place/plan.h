// The steps that a demand would take, without taking them.
#pragma once

#include "base/status.h"
#include "place/command.h"
#include "place/event.h"
#include "place/residency.h"

namespace warmset::place {

struct Plan {
  Status refused;  // how the demand would fail; OK when it would not
  // Fill and Release, in the order in which the demand would bring them about. Placements
  // that a Release names are there; those of a Fill would be new.
  Commands steps;
};

// The machine's own steps, taken by a copy of it for which everything succeeds at once. So if
// nothing else happens meanwhile and nothing fails, this is what the demand does.
// REQUIRES: now as for Residency::Apply().
Plan PlanFor(const Residency& machine, const Demanded& demand, Time now);

}  // namespace warmset::place
