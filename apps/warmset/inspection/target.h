// What the paths on the command line of `warmset inspect` stand for.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "inspect/finding.h"
#include "inspect/inspect.h"

namespace warmset::cli {

// One thing to look at: a model, or something that could not become one.
struct Target {
  std::string path;    // as it is shown
  std::string folder;  // absolute; what the model's paths are relative to
  ModelFiles model;    // without files: there are only findings
  std::vector<Finding> findings;  // what was noticed before any file was opened
};

// A file stands for itself, whatever it is called; an index of shards, a config
// or a numbered part for the model that it belongs to. A folder stands for the
// models in it and below: when there is one at most, that is the argument itself,
// with all that was noticed on the way. An error when there is nothing at the path
// or it may not be read.
StatusOr<std::vector<Target>> FindTargets(const std::string& path);

}  // namespace warmset::cli
