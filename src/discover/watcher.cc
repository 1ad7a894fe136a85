#include "discover/watcher.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"

namespace warmset {

StatusOr<std::unique_ptr<Watcher>> Watcher::Create(Options options) {
  ASSIGN_OR_RETURN(os::Inotify inotify, os::Inotify::Create());
  return std::unique_ptr<Watcher>(new Watcher(std::move(inotify), options));
}

void Watcher::SetFolders(const std::string& root, const std::vector<std::string>& folders) {
  Folders& of_root = by_root_[root];
  const std::set<std::string> wanted(folders.begin(), folders.end());
  std::vector<int> unwanted;
  for (const auto& [folder, watch] : of_root.watched) {
    if (!wanted.contains(folder)) unwanted.push_back(watch);
  }
  for (const int watch : unwanted) {
    inotify_.Remove(watch);
    Forget(watch);
  }
  of_root.refused.clear();
  of_root.limitation.clear();
  for (const std::string& folder : wanted) {
    if (watched_.size() >= options_.max_folders && !of_root.watched.contains(folder)) {
      of_root.limitation = fmt::format(
          "only {} folders are watched; changes elsewhere are seen by scans", options_.max_folders);
      return;
    }
    // One that was refused says enough of the others.
    if (!of_root.refused.empty()) {
      of_root.refused.insert(folder);
    } else {
      Add(root, of_root, folder);
    }
  }
}

bool Watcher::Add(const std::string& root, Folders& of_root, const std::string& folder) {
  const auto watch = inotify_.Add(folder);
  const auto known = of_root.watched.find(folder);
  if (known != of_root.watched.end() && (!watch.ok() || *watch != known->second)) {
    // Another folder lies there now: a drive came or went.
    const int before = known->second;
    inotify_.Remove(before);
    Forget(before);
  }
  if (watch.ok()) {
    watched_[*watch] = {root, folder};
    of_root.watched[folder] = *watch;
    return true;
  }
  // A folder that is gone by now changed its parent, which is watched.
  if (CodeOf(watch.status()) == ErrorCode::kFileNotFound) return true;
  of_root.refused.insert(folder);
  of_root.limitation = std::string(Message(watch.status()));
  return false;
}

std::vector<std::string> Watcher::Retry() {
  std::vector<std::string> more;
  for (auto& [root, of_root] : by_root_) {
    const std::set<std::string> refused = std::exchange(of_root.refused, {});
    if (refused.empty()) continue;
    of_root.limitation.clear();
    bool any = false;
    for (auto folder = refused.begin(); folder != refused.end(); ++folder) {
      if (!Add(root, of_root, *folder)) {
        of_root.refused.insert(folder, refused.end());
        break;
      }
      any = true;
    }
    if (any) more.push_back(root);
  }
  return more;
}

std::string Watcher::limitation() const {
  for (const auto& [root, of_root] : by_root_) {
    if (!of_root.limitation.empty()) return of_root.limitation;
  }
  return {};
}

void Watcher::Forget(int watch) {
  const auto found = watched_.find(watch);
  if (found == watched_.end()) return;
  std::map<std::string, int>& watched = by_root_[found->second.root].watched;
  const auto folder = watched.find(found->second.path);
  if (folder != watched.end() && folder->second == watch) watched.erase(folder);
  watched_.erase(found);
}

Status Watcher::OnReadable(Time now) {
  ASSIGN_OR_RETURN(const auto events, inotify_.Read());
  for (const os::Inotify::Event& event : events) {
    if (event.overflow) {
      for (const auto& [root, folders] : by_root_) Note(root, "", now);
      continue;
    }
    const auto found = watched_.find(event.watch);
    if (found == watched_.end()) continue;
    const Watched watched = found->second;
    if (event.watch_gone) Forget(event.watch);
    // Scans leave hidden entries out, too.
    if (!event.name.starts_with('.')) Note(watched.root, watched.path, now);
  }
  return OkStatus();
}

void Watcher::Note(const std::string& root, const std::string& folder, Time now) {
  Pending& pending = pending_.try_emplace(root, Pending{now, now, {}}).first->second;
  pending.last = now;
  if (!folder.empty()) pending.folders.insert(folder);
}

Watcher::Time Watcher::DueAt(const Pending& pending) const {
  return std::min(pending.last + options_.quiet, pending.first + options_.at_latest);
}

std::optional<Watcher::Time> Watcher::NextDue() const {
  std::optional<Time> next;
  for (const auto& [root, pending] : pending_) {
    const Time due = DueAt(pending);
    if (!next || due < *next) next = due;
  }
  return next;
}

std::vector<Watcher::Change> Watcher::TakeChanged(Time now) {
  std::vector<Change> changes;
  for (auto entry = pending_.begin(); entry != pending_.end();) {
    if (DueAt(entry->second) > now) {
      ++entry;
      continue;
    }
    const std::set<std::string>& folders = entry->second.folders;
    changes.push_back({entry->first, {folders.begin(), folders.end()}});
    entry = pending_.erase(entry);
  }
  return changes;
}

}  // namespace warmset
