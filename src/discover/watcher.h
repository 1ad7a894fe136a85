// Notices changes below the roots, so that they can be scanned again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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

  // Watches these folders of a root in place of those before. Folders above the
  // limit (this one or the kernel's) are not watched: complete() is then false.
  void SetFolders(const std::string& root, const std::vector<std::string>& folders);

  // False when changes can be missed: rescan every few minutes then, and tell
  // the user `limitation()`.
  bool complete() const { return limitation_.empty(); }
  const std::string& limitation() const { return limitation_; }

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
  struct Pending {
    Time first;
    Time last;
    std::vector<std::string> folders;
  };

  Watcher(os::Inotify inotify, Options options) : inotify_(std::move(inotify)), options_(options) {}
  Time DueAt(const Pending& pending) const;
  void Note(const std::string& root, const std::string& folder, Time now);

  os::Inotify inotify_;
  const Options options_;
  std::unordered_map<int, Watched> watched_;                   // by watch number
  std::map<std::string, std::map<std::string, int>> by_root_;  // root, folder → watch number
  std::map<std::string, Pending> pending_;                     // by root
  std::string limitation_;
};

}  // namespace warmset
