// Reading warmset.toml.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace warmset {

// One value of the file, checked for its key and its TOML type.
struct FileValue {
  std::string key;                 // one of OptionTable()
  std::vector<std::string> texts;  // as a flag would give them
  std::string place;               // "/etc/warmset.toml:3:9"
};

// kInvalidConfig with file, line and column for what is not TOML, an unknown
// key (the nearest known one is named) or a value of another type.
StatusOr<std::vector<FileValue>> ParseOptionFile(const std::string& content,
                                                 const std::string& path);

}  // namespace warmset
