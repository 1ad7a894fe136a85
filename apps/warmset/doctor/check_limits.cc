#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "base/units.h"
#include "doctor/check.h"
#include "fmt/format.h"
#include "os/cgroup.h"
#include "os/file.h"
#include "os/limits.h"
#include "os/system_memory.h"

namespace warmset::cli {
namespace {

std::string Text(uint64_t limit) {
  return limit == os::Limit::kUnlimited ? "unlimited" : fmt::format("{}", limit);
}

// A number in /proc/sys, nothing where it can't be read.
std::optional<uint64_t> Setting(const std::string& name) {
  const auto text = os::ReadSmallFile("/proc/sys/" + name, 64);
  uint64_t value = 0;
  if (!text.ok()) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

Check CheckMemory() {
  constexpr ByteCount kLittle(kGiB);
  const auto available = os::AvailableMemory();
  if (!available.ok()) {
    return Fail("memory", std::string(Message(available.status())), "mount /proc");
  }
  const ByteCount headroom = os::CgroupHeadroom();
  const bool limited = headroom != ByteCount(std::numeric_limits<uint64_t>::max());
  const std::string finding =
      fmt::format("{} available, {}", FormatSize(*available),
                  limited ? fmt::format("the cgroup leaves {}", FormatSize(headroom))
                          : std::string("no cgroup limit"));
  if (std::min(*available, headroom) < kLittle) {
    return Warn("memory", finding, "end other programs, or raise the cgroup's memory limit");
  }
  return Ok("memory", finding);
}

Check CheckLockedMemory() {
  constexpr uint64_t kUsual = 8 * kMiB;  // the kernel's own default
  const auto limit = os::GetLimit(os::Resource::kLockedMemory);
  if (!limit.ok()) return Warn("locked memory", std::string(Message(limit.status())), "");
  const std::string finding =
      limit->soft == os::Limit::kUnlimited ? "unlimited" : FormatSize(ByteCount(limit->soft));
  if (limit->soft >= kUsual) return Ok("locked memory", finding);
  return Warn("locked memory", finding,
              "device drivers may need more: ulimit -l 8192, or LimitMEMLOCK= of the systemd unit");
}

Check CheckOpenFiles() {
  // An entry keeps two descriptors, a session one, and both come by the hundred.
  constexpr uint64_t kEnough = 4096;
  const auto limit = os::GetLimit(os::Resource::kOpenFiles);
  if (!limit.ok()) return Warn("open files", std::string(Message(limit.status())), "");
  const std::string finding =
      fmt::format("{}, can be raised to {}", Text(limit->soft), Text(limit->hard));
  if (limit->hard >= kEnough) return Ok("open files", finding);
  return Warn("open files", finding,
              "ulimit -Hn 4096 as root, or LimitNOFILE= of the systemd unit");
}

// One that should be at least `enough`.
Check CheckSetting(const std::string& name, const std::string& setting, uint64_t enough,
                   const std::string& why) {
  const auto value = Setting(setting);
  std::string dotted = setting;
  std::replace(dotted.begin(), dotted.end(), '/', '.');
  if (!value) return Warn(name, dotted + " can't be read", "mount /proc");
  if (*value >= enough) return Ok(name, fmt::format("{}", *value));
  return Warn(name, fmt::format("{}; {}", *value, why),
              fmt::format("as root: sysctl -w {}={}", dotted, enough));
}

Check CheckOvercommit() {
  constexpr uint64_t kNever = 2;
  const auto mode = Setting("vm/overcommit_memory");
  if (mode != kNever) {
    return Ok("overcommit", mode ? fmt::format("mode {}", *mode) : std::string("unknown"));
  }
  return Warn("overcommit", "mode 2: each attached model counts in full against the commit limit",
              "as root: sysctl -w vm.overcommit_memory=0, or attach with writable=False");
}

}  // namespace

void CheckLimits(Checks& checks) {
  checks.push_back(CheckMemory());
  checks.push_back(CheckOvercommit());
  checks.push_back(CheckLockedMemory());
  checks.push_back(CheckOpenFiles());
  checks.push_back(
      CheckSetting("mappings", "vm/max_map_count", 65530, "each attached component takes one"));
  checks.push_back(CheckSetting("inotify watches", "fs/inotify/max_user_watches", 65536,
                                "one for each folder below the roots, or changes there are seen "
                                "at the next scan only"));
  checks.push_back(CheckSetting("inotify users", "fs/inotify/max_user_instances", 128,
                                "other programs of this user may have taken them"));
}

}  // namespace warmset::cli
