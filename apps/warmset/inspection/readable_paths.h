// What the process that reads models may open.
#pragma once

#include <string>
#include <vector>

namespace warmset::cli {

// The folders and files that inspecting the path needs, canonical: the folder
// itself or the file's, a hub repo as a whole, and what symlinks in there lead to.
// Looks at names and symlinks only. Empty when there is nothing at the path.
std::vector<std::string> ReadablePaths(const std::string& path);

}  // namespace warmset::cli
