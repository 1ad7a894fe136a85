#include "os/cgroup.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "os/file.h"

namespace warmset::os {
namespace {

constexpr ByteCount kNoLimit{std::numeric_limits<uint64_t>::max()};
// Version 1 writes no limit as the largest multiple of a page.
constexpr uint64_t kLeastNoLimit = uint64_t{1} << 62;

enum class Version { kV1, kV2 };

// Where a hierarchy with the memory controller is mounted.
struct Mount {
  Version version = Version::kV2;
  std::string group;  // that the mount shows as its root
  std::string path;
};

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;  // "max"
  return value;
}

std::optional<uint64_t> NumberIn(const std::string& file) {
  const auto text = ReadSmallFile(file, 64);
  return text.ok() ? Number(*text) : std::nullopt;
}

std::optional<uint64_t> Limit(const std::string& file) {
  const auto limit = NumberIn(file);
  return limit && *limit < kLeastNoLimit ? limit : std::nullopt;
}

// A line "name 123" of memory.stat.
std::optional<uint64_t> Field(std::string_view stat, std::string_view name) {
  for (size_t at = 0; (at = stat.find(name, at)) != std::string_view::npos; at += name.size()) {
    const bool line_start = at == 0 || stat[at - 1] == '\n';
    const size_t value = at + name.size();
    if (line_start && value < stat.size() && stat[value] == ' ') {
      return Number(stat.substr(value + 1));
    }
  }
  return std::nullopt;
}

// mountinfo writes blanks and backslashes in paths as \ and three octal digits.
std::string Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    const std::string_view digits = text.substr(i + 1, 3);
    if (text[i] == '\\' && digits.size() == 3 &&
        std::from_chars(digits.data(), digits.data() + 3, code, 8).ec == std::errc{}) {
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool HasOption(const std::string& options, std::string_view wanted) {
  std::istringstream list(options);
  for (std::string option; std::getline(list, option, ',');) {
    if (option == wanted) return true;
  }
  return false;
}

std::vector<Mount> MemoryMounts(const std::string& mountinfo) {
  std::vector<Mount> mounts;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string skipped;
    std::string group;
    std::string path;
    std::string type;
    std::string options;
    fields >> skipped >> skipped >> skipped >> group >> path;
    while (fields >> skipped && skipped != "-") {
    }
    fields >> type >> skipped >> options;
    const bool v1 = type == "cgroup" && HasOption(options, "memory");
    if (!v1 && type != "cgroup2") continue;
    mounts.push_back({v1 ? Version::kV1 : Version::kV2, Unescaped(group), Unescaped(path)});
  }
  return mounts;
}

// The process's group in a hierarchy: lines "4:memory,hugetlb:/a" and "0::/a".
std::optional<std::string> GroupOf(const std::string& membership, Version version) {
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool fits =
        version == Version::kV2 ? line.starts_with("0::") : HasOption(controllers, "memory");
    if (fits) return line.substr(second + 1);
  }
  return std::nullopt;
}

// The group's path below the mount. One that the mount does not show is outside of this
// container, whose own group is the mount's root.
std::string BelowMount(const std::string& group, const std::string& mounted) {
  if (group.starts_with("/..")) return "";
  if (mounted == "/") return group == "/" ? "" : group;
  const bool below = group == mounted || group.starts_with(mounted + "/");
  return below ? group.substr(mounted.size()) : "";
}

// What one group's own limits leave.
ByteCount Headroom(const std::string& folder, Version version, bool own) {
  const bool v1 = version == Version::kV1;
  std::optional<uint64_t> limit;
  const auto tighten = [&limit](std::optional<uint64_t> other) {
    if (other) limit = std::min(limit.value_or(*other), *other);
  };
  const auto stat = ReadSmallFile(folder + "/memory.stat", 64 * kKiB);
  const std::string_view fields = stat.ok() ? std::string_view(*stat) : std::string_view();
  if (v1) {
    // Without it a group's limit does not count what is in the groups below.
    if (!own && NumberIn(folder + "/memory.use_hierarchy") == 0) return kNoLimit;
    tighten(Limit(folder + "/memory.limit_in_bytes"));
    const auto above = Field(fields, "hierarchical_memory_limit");
    if (above && *above < kLeastNoLimit) tighten(above);
  } else {
    tighten(Limit(folder + "/memory.max"));
    tighten(Limit(folder + "/memory.high"));
  }
  const auto all = NumberIn(folder + (v1 ? "/memory.usage_in_bytes" : "/memory.current"));
  if (!limit || !all) return kNoLimit;
  const uint64_t files = Field(fields, v1 ? "total_inactive_file" : "inactive_file").value_or(0);
  const uint64_t used = *all - std::min(*all, files);
  return ByteCount(*limit - std::min(*limit, used));
}

// `process` as in /proc.
ByteCount HeadroomOf(const std::string& process, const std::string& root) {
  const auto membership = ReadSmallFile(root + "/proc/" + process + "/cgroup", 16 * kKiB);
  const auto mountinfo = ReadSmallFile(root + "/proc/self/mountinfo", 256 * kKiB);
  ByteCount headroom = kNoLimit;
  if (!membership.ok() || !mountinfo.ok()) return headroom;
  for (const Mount& mount : MemoryMounts(*mountinfo)) {
    const auto group = GroupOf(*membership, mount.version);
    if (!group) continue;
    std::string below = BelowMount(*group, mount.group);
    for (bool own = true;; own = false) {
      headroom = std::min(headroom, Headroom(root + mount.path + below, mount.version, own));
      if (below.empty()) break;
      below.resize(below.rfind('/'));
    }
  }
  return headroom;
}

}  // namespace

ByteCount CgroupHeadroom(const std::string& root) { return HeadroomOf("self", root); }

ByteCount CgroupHeadroomOf(pid_t pid, const std::string& root) {
  return HeadroomOf(std::to_string(pid), root);
}

}  // namespace warmset::os
