#include "discover/watcher.h"

#include <algorithm>
#include <set>
#include <utility>

#include "fmt/format.h"

namespace warmset {

StatusOr<std::unique_ptr<Watcher>> Watcher::Create(Options options) {
  ASSIGN_OR_RETURN(os::Inotify inotify, os::Inotify::Create());
  return std::unique_ptr<Watcher>(new Watcher(std::move(inotify), options));
}

void Watcher::SetFolders(const std::string& root, const std::vector<std::string>& folders) {
  std::map<std::string, int>& watched = by_root_[root];
  const std::set<std::string> wanted(folders.begin(), folders.end());
  for (auto entry = watched.begin(); entry != watched.end();) {
    if (wanted.contains(entry->first)) {
      ++entry;
      continue;
    }
    inotify_.Remove(entry->second);
    watched_.erase(entry->second);
    entry = watched.erase(entry);
  }
  limitation_.clear();
  for (const std::string& folder : wanted) {
    if (watched.contains(folder)) continue;
    if (watched_.size() >= options_.max_folders) {
      limitation_ = fmt::format("only {} folders are watched; changes elsewhere are seen by scans",
                                options_.max_folders);
      return;
    }
    const auto watch = inotify_.Add(folder);
    if (!watch.ok()) {
      // A folder that is gone by now changed its parent, which is watched.
      if (CodeOf(watch.status()) == ErrorCode::kFileNotFound) continue;
      limitation_ = std::string(Message(watch.status()));
      return;
    }
    watched_[*watch] = {root, folder};
    watched[folder] = *watch;
  }
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
    if (event.watch_gone) {
      by_root_[watched.root].erase(watched.path);
      watched_.erase(found);
    }
    // Scans leave hidden entries out, too.
    if (!event.name.starts_with('.')) Note(watched.root, watched.path, now);
  }
  return OkStatus();
}

void Watcher::Note(const std::string& root, const std::string& folder, Time now) {
  Pending& pending = pending_.try_emplace(root, Pending{now, now, {}}).first->second;
  pending.last = now;
  const auto known = std::find(pending.folders.begin(), pending.folders.end(), folder);
  if (!folder.empty() && known == pending.folders.end()) pending.folders.push_back(folder);
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
    changes.push_back({entry->first, std::move(entry->second.folders)});
    entry = pending_.erase(entry);
  }
  return changes;
}

}  // namespace warmset
