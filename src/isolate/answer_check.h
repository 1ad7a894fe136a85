// Nothing that a helper answers is believed because it comes from a helper: a file
// may have taken it over.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "inspect/inspect.h"
#include "inspect/manifest.h"

namespace warmset {

// Files that a helper was given beside those of the model, by path.
using GivenFiles = std::map<std::string, os::FileIdentity>;

// The manifest, if it is one of this model: of its layout, of no file that the
// helper was not given, with ids that follow from what it says. kCorruptedModel
// when it lies; kFileChanged when a given file changed while it was read.
StatusOr<Manifest> CheckAnswer(std::string_view encoded, const ModelFiles& asked,
                               const GivenFiles& given);

}  // namespace warmset
