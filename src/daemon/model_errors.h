// Which errors say something of a model, and not of one request for it.
#pragma once

#include "base/status.h"
#include "daemon/model_registry.h"

namespace warmset {

// Remembers how a use of the model ended: success forgets an earlier error, an error of
// its files or of their content stays with it for all to see (ModelState.error_code). One
// that is the request's own (a wrong name, no room, a client that left, a device) leaves
// what was known.
void NoteOutcome(Model& model, const Status& outcome);

}  // namespace warmset
