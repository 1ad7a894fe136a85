// The flags of `warmset serve` and `warmsetd`: one for every key of
// warmset.toml, and --config.
#pragma once

#include "CLI/CLI.hpp"
#include "daemon/options.h"

namespace warmset {

// Parsing `app` fills `flags`, which must outlive it. Values are not checked
// here but by LoadOptions.
void AddServeFlags(CLI::App& app, OptionFlags& flags);

}  // namespace warmset
