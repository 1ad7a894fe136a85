#include "os/system_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "fmt/format.h"
#include "os/file.h"
#include "os/memory_file.h"

namespace warmset::os {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

// The line "name:   123 kB" in the text of a file under /proc.
std::optional<ByteCount> FindKilobytes(std::string_view text, std::string_view name) {
  const std::string key = fmt::format("{}:", name);
  const size_t at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t digit = text.find_first_not_of(" \t", at + key.size());
  if (digit == std::string_view::npos) return ByteCount();
  return ByteCount(ParseNumber(text.substr(digit)).value_or(0) * kKiB);
}

StatusOr<ByteCount> KilobytesField(const std::string& path, std::string_view name) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, 64 * kKiB));
  if (const auto found = FindKilobytes(text, name)) return *found;
  return Error(ErrorCode::kInternal, fmt::format("{} has no {}", path, name));
}

// Calls visit(inode, bytes) for each mapped range of an entry memfd.
template <typename Visit>
void ForEachEntryRange(std::string_view maps, Visit visit) {
  const std::string name = fmt::format("/memfd:{} (deleted)", EntryMemoryName());
  size_t at = 0;
  while ((at = maps.find(name, at)) != std::string_view::npos) {
    const size_t line_start = maps.rfind('\n', at) + 1;  // npos + 1 == 0
    const std::string line(maps.substr(line_start, at - line_start));
    unsigned long long start = 0;
    unsigned long long end = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx %*s %*s %*s %llu", &start, &end, &inode) == 3) {
      visit(inode, end - start);
    }
    at += name.size();
  }
}

std::set<uint64_t> OwnMemfdInodes() {
  std::set<uint64_t> inodes;
  std::error_code error;
  for (const auto& item : fs::directory_iterator("/proc/self/fd", error)) {
    struct stat st {};
    if (::stat(item.path().c_str(), &st) == 0 && S_ISREG(st.st_mode)) inodes.insert(st.st_ino);
  }
  return inodes;
}

}  // namespace

StatusOr<ByteCount> MeminfoField(std::string_view name) {
  return KilobytesField("/proc/meminfo", name);
}

ByteCount ResidentAnonymousMemory() {
  return KilobytesField("/proc/self/status", "RssAnon").value_or(ByteCount());
}

void ReturnFreeMemory() { ::malloc_trim(0); }

PeakMemory PeakMemory::Open() {
  return PeakMemory(OpenForRead("/proc/self/status").value_or(UniqueFd()));
}

ByteCount PeakMemory::bytes() const {
  std::array<char, 4 * kKiB> text;
  const auto size = ReadAt(status_.get(), std::as_writable_bytes(std::span(text)), 0);
  if (!size.ok()) return ByteCount();
  return FindKilobytes({text.data(), *size}, "VmHWM").value_or(ByteCount());
}

StatusOr<ByteCount> AvailableMemory() { return MeminfoField("MemAvailable"); }

uint64_t OomKills() {
  constexpr std::string_view kKey = "\noom_kill ";
  const auto stat = ReadSmallFile("/proc/vmstat", 64 * kKiB);
  if (!stat.ok()) return 0;
  const size_t at = stat->find(kKey);
  if (at == std::string::npos) return 0;
  return ParseNumber(std::string_view(*stat).substr(at + kKey.size())).value_or(0);
}

ByteCount ForeignEntryMemory() {
  const std::set<uint64_t> own = OwnMemfdInodes();
  std::map<uint64_t, uint64_t> foreign;  // inode → the largest mapped range
  std::error_code error;
  for (const auto& item : fs::directory_iterator("/proc", error)) {
    if (!ParseNumber(item.path().filename().string())) continue;
    const auto maps = ReadSmallFile((item.path() / "maps").string(), 8 * kMiB);
    if (!maps.ok()) continue;
    ForEachEntryRange(*maps, [&](uint64_t inode, uint64_t bytes) {
      if (!own.contains(inode)) foreign[inode] = std::max(foreign[inode], bytes);
    });
  }
  ByteCount total;
  for (const auto& [inode, bytes] : foreign) total += ByteCount(bytes);
  return total;
}

StatusOr<UniqueFd> WatchMemoryStalls() {
  constexpr const char* kPath = "/proc/pressure/memory";
  constexpr std::string_view kTrigger = "some 200000 2000000";  // microseconds
  UniqueFd fd(::open(kPath, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, fmt::format("open {}", kPath));
  // The kernel wants the final zero, too.
  if (::write(fd.get(), kTrigger.data(), kTrigger.size() + 1) < 0) {
    return ErrnoError(errno, fmt::format("set a trigger in {}", kPath));
  }
  return fd;
}

}  // namespace warmset::os
