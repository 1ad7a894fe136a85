#pragma once

#include <string>

#include "base/status.h"

namespace warmset::cli {

// The folder that makes a Python program use Warmset when it leads PYTHONPATH:
// $WARMSET_PYTHON_HOOK, else python/warmset/_hook (a source tree) or
// share/warmset/python/warmset/_hook (an installation) in a folder above the
// program's own. kFileNotFound says where it was looked for.
StatusOr<std::string> FindPythonHook(const std::string& program_directory);

}  // namespace warmset::cli
