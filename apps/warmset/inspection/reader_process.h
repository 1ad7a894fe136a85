// The process that opens and parses what `warmset inspect` is asked about.
//
// A copy of this program per path, in a sandbox before it opens anything: it may
// read below the path and nothing else, start no program, and open no connection
// (os/sandbox.h). It finds the models at the path and sends a manifest for each.
// What ends it, or takes too long, is blamed on the model at hand; another copy
// goes on with the next.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "inspect/manifest.h"

namespace warmset::cli {

// What is told of one model: its path as it is shown, and its manifest or why
// there is none.
using OnModel = std::function<void(const std::string& path, StatusOr<Manifest> manifest)>;

// Calls on_model for every model at the path, in order. An error when no process
// can be started, or none in a sandbox. REQUIRES: this thread is the process's only
// one.
Status ReadModels(const std::string& path, const OnModel& on_model);

}  // namespace warmset::cli
