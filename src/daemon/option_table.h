// Every setting of the daemon in one table: its key in warmset.toml, its flag,
// how its text is read and written.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "daemon/options.h"

namespace warmset {

// What TOML writes a value as, and whether a flag may be repeated.
enum class OptionShape {
  kText,
  kPath,
  kSize,
  kInteger,
  kBoolean,
  kTexts,
  kPaths,
  kIntegers,
  kDevices,
};
bool IsList(OptionShape shape);

struct OptionRow {
  std::string_view key;         // "models.roots"
  std::string_view flag;        // "--root"
  std::string_view value_name;  // "DIR"
  std::string_view help;
  OptionShape shape;
  // Replaces the value. One text unless the shape is a list; paths are absolute
  // already. kInvalidConfig without the key's name; then nothing changed.
  Status (*set)(Options&, const std::vector<std::string>& texts);
  std::string (*print)(const Options&);
};
std::span<const OptionRow> OptionTable();
// Nothing when there is none with that key.
const OptionRow* FindOption(std::string_view key);

// "host:0,memory=4GiB,pool=dedicated".
StatusOr<Options::Device> ParseDevice(std::string_view text);
std::string PrintDevice(const Options::Device& device);

// The candidate that contains text, else the one that takes the fewest edits.
// REQUIRES: candidates is not empty.
std::string_view NearestTo(std::string_view text, std::span<const std::string_view> candidates);

}  // namespace warmset
