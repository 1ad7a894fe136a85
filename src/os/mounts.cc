#include "os/mounts.h"

#include <sstream>
#include <string_view>

#include "fmt/format.h"
#include "os/file.h"

namespace warmset::os {
namespace {

constexpr size_t kMaxMountinfoBytes = size_t{16} << 20;

// mountinfo writes blanks, line ends and backslashes as "\040".
std::string Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '\\' && i + 3 < text.size();
    if (!escaped) {
      plain += text[i];
      continue;
    }
    plain +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

}  // namespace

StatusOr<std::vector<std::string>> MountsBelow(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text,
                   ReadSmallFile("/proc/self/mountinfo", kMaxMountinfoBytes));
  std::vector<std::string> mounts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    // The mount's number, its parent's, the device, what of it is mounted, and where.
    std::istringstream fields(line);
    std::string id;
    std::string parent;
    std::string device;
    std::string root;
    std::string where;
    if (!(fields >> id >> parent >> device >> root >> where)) continue;
    const std::string place = Unescaped(where);
    const bool below = place.starts_with(path) &&
                       (place.size() == path.size() || place[path.size()] == '/' || path == "/");
    if (below) mounts.push_back(fmt::format("{} {} {} {}", id, device, root, where));
  }
  return mounts;
}

}  // namespace warmset::os
