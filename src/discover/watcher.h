// Notices changes below the roots, so that they can be scanned again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "discover/scanner.h"
#include "os/inotify.h"

namespace warmset {

// Watches folders with inotify. Loop thread only: the caller polls fd() and has
// its own timers; time is passed in.
class Watcher {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Options {
    size_t max_folders = 16384;  // the kernel allows a user 8192 or more in all
    // A change is told when its root was quiet for this long, ...
    std::chrono::milliseconds quiet{500};
    // ... or after this long if it never is (a download that takes hours).
    std::chrono::milliseconds at_latest{10'000};
  };

  static StatusOr<std::unique_ptr<Watcher>> Create(Options options);
  static StatusOr<std::unique_ptr<Watcher>> Create() { return Create(Options{}); }

  // Readable when OnReadable() has something to do.
  int fd() const { return inotify_.fd(); }

  // Watches these folders of a root in place of those before; what lies at a path now,
  // also where something else lay before. Folders above the limit (this one or the
  // kernel's) are not watched: complete() is then false.
  void SetFolders(const std::string& root, const std::vector<std::string>& folders);

  // Tries again to watch what the kernel refused. The roots of which folders are
  // watched now that were not: scan them, for changes were missed.
  std::vector<std::string> Retry();

  // False when changes can be missed: rescan every few minutes then, and tell
  // the user `limitation()`.
  bool complete() const { return limitation().empty(); }
  std::string limitation() const;

  // Takes the pending events.
  Status OnReadable(Time now);
  // When TakeChanged() will next have something; nothing while all is quiet.
  std::optional<Time> NextDue() const;

  struct Change {
    std::string root;                  // what to scan
    std::vector<std::string> folders;  // where, for logs; empty when events were lost
  };
  std::vector<Change> TakeChanged(Time now);

 private:
  struct Watched {
    std::string root;
    std::string path;
  };
  // One root's folders.
  struct Folders {
    std::map<std::string, int> watched;  // their watch numbers
    std::set<std::string> refused;       // by the kernel
    std::string limitation;              // why not all are watched
  };
  struct Pending {
    Time first;
    Time last;
    std::set<std::string> folders;
  };

  Watcher(os::Inotify inotify, Options options) : inotify_(std::move(inotify)), options_(options) {}
  Time DueAt(const Pending& pending) const;
  void Note(const std::string& root, const std::string& folder, Time now);
  // False when the kernel refuses: then it is among the refused.
  bool Add(const std::string& root, Folders& of_root, const std::string& folder);
  void Forget(int watch);

  os::Inotify inotify_;
  const Options options_;
  std::unordered_map<int, Watched> watched_;  // by watch number
  std::map<std::string, Folders> by_root_;
  std::map<std::string, Pending> pending_;  // by root
};

}  // namespace warmset
