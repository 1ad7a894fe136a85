#include "os/inotify.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "os/fault.h"

namespace warmset::os {
namespace {

constexpr uint32_t kWanted = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                             IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
                             IN_EXCL_UNLINK;

}  // namespace

StatusOr<Inotify> Inotify::Create() {
  if (const int fault = InjectedFault("inotify_init1")) return ErrnoError(fault, "start inotify");
  UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "start inotify");
  return Inotify(std::move(fd));
}

StatusOr<int> Inotify::Add(const std::string& folder) {
  int error = InjectedFault("inotify_add_watch");
  const int watch = error != 0 ? -1 : ::inotify_add_watch(fd_.get(), folder.c_str(), kWanted);
  if (watch >= 0) return watch;
  if (error == 0) error = errno;
  if (error == ENOSPC) {
    return Error(ErrorCode::kRamLimitExceeded,
                 "the kernel gives this user no more inotify watches "
                 "(sysctl fs.inotify.max_user_watches)");
  }
  return ErrnoError(error, "watch " + folder);
}

void Inotify::Remove(int watch) { ::inotify_rm_watch(fd_.get(), watch); }

StatusOr<std::vector<Inotify::Event>> Inotify::Read() {
  std::vector<Event> events;
  alignas(inotify_event) std::array<char, 16384> buffer;
  for (;;) {
    if (const int fault = InjectedFault("read")) return ErrnoError(fault, "read inotify events");
    const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return events;
    if (got <= 0) return ErrnoError(errno, "read inotify events");
    // The kernel writes whole events only.
    for (size_t at = 0; at < static_cast<size_t>(got);) {
      inotify_event raw{};
      std::memcpy(&raw, buffer.data() + at, sizeof raw);
      Event& event = events.emplace_back();
      event.watch = raw.wd;
      event.overflow = (raw.mask & IN_Q_OVERFLOW) != 0;
      event.watch_gone = (raw.mask & IN_IGNORED) != 0;
      const char* name = buffer.data() + at + sizeof raw;
      event.name.assign(name, ::strnlen(name, raw.len));
      at += sizeof raw + raw.len;
    }
  }
}

}  // namespace warmset::os
