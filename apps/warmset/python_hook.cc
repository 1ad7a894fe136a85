#include "python_hook.h"

#include <cstdlib>
#include <filesystem>

#include "fmt/format.h"

namespace warmset::cli {

namespace fs = std::filesystem;

StatusOr<std::string> FindPythonHook(const std::string& program_directory) {
  std::error_code error;
  if (const char* const named = std::getenv("WARMSET_PYTHON_HOOK");
      named != nullptr && *named != '\0') {
    if (fs::is_directory(named, error)) return fs::absolute(named, error).string();
    return Error(ErrorCode::kFileNotFound,
                 fmt::format("$WARMSET_PYTHON_HOOK is '{}', which is no folder", named));
  }
  const fs::path start = fs::path(program_directory).lexically_normal();
  for (fs::path folder = start; folder != folder.root_path(); folder = folder.parent_path()) {
    for (const char* const below : {"python/warmset/_hook", "share/warmset/python/warmset/_hook"}) {
      if (fs::is_directory(folder / below, error)) return (folder / below).string();
    }
  }
  return Error(ErrorCode::kFileNotFound,
               fmt::format("the Python package is in no folder above {}; name its _hook folder in "
                           "$WARMSET_PYTHON_HOOK",
                           program_directory));
}

}  // namespace warmset::cli
