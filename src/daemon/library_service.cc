#include "daemon/library_service.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "discover/comfyui_paths.h"
#include "fmt/format.h"
#include "os/system_memory.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

// Where inotify can't see everything, for example on network file systems.
constexpr std::chrono::minutes kRescanInterval{5};
// A mount tells nobody that it came or went.
constexpr std::chrono::seconds kRootCheckInterval{3};
// Loops have more to do than to hear of each of a million folders.
constexpr std::chrono::milliseconds kProgressInterval{100};

// True when both revisions may have the same bytes: the files differ in ctime only.
bool OnlyTouched(const ModelSummary& before, const ModelSummary& now) {
  return before.files.size() == now.files.size() &&
         std::equal(before.files.begin(), before.files.end(), now.files.begin(),
                    [](const ManifestFile& a, const ManifestFile& b) {
                      return os::SameButForCtime(a.identity, b.identity);
                    });
}

}  // namespace

LibraryService::LibraryService(os::EventLoop& loop, Catalog& catalog, Inspector& inspector,
                               ModelRegistry& registry, const Options& options, Events events)
    : loop_(loop),
      catalog_(catalog),
      registry_(registry),
      events_(std::move(events)),
      library_(catalog, inspector),
      comfyui_paths_(options.extra_model_paths),
      configured_roots_(options.roots),
      watch_(options.watch) {
  for (const std::string& root : options.roots) roots_.push_back({root, options.deep_scan});
  library_.silent().SetChanged([this](const std::string& place, bool silent) {
    loop_.Post([this, place, silent] { OnSilence(place, silent); });
  });
}

Status LibraryService::Restore() {
  ASSIGN_OR_RETURN(const auto overrides, catalog_.Overrides());
  for (const auto& [id, override_by_user] : overrides) registry_.SetOverride(id, override_by_user);
  ASSIGN_OR_RETURN(const auto all_settings, catalog_.AllCacheSettings());
  for (const auto& [id, settings] : all_settings) registry_.SetCacheSettings(id, settings);
  for (const std::string& file : comfyui_paths_) {
    ASSIGN_OR_RETURN(const std::vector<Root> roots,
                     ReadComfyUiPaths(file, ProcessEnvironment("HOME").value_or("/")));
    for (const Root& root : roots) {
      const bool known = std::any_of(roots_.begin(), roots_.end(),
                                     [&](const Root& other) { return other.path == root.path; });
      if (!known) roots_.push_back(root);
    }
  }
  RETURN_IF_ERROR(library_.Restore(roots_, [this](ModelSummary summary) {
    registry_.Put(summary);
    restored_ = true;
  }));
  StartWatching();
  ScheduleRootCheck();
  return OkStatus();
}

Status LibraryService::SetCacheSettings(const ModelId& id, const CacheSettings& settings) {
  RETURN_IF_ERROR(catalog_.SetCacheSettings(id, settings));
  registry_.SetCacheSettings(id, settings);
  return OkStatus();
}

Status LibraryService::SetOverride(const ModelId& id, const ModelOverride& override_by_user) {
  RETURN_IF_ERROR(catalog_.SetOverride(id, override_by_user));
  registry_.SetOverride(id, override_by_user);
  return OkStatus();
}

std::vector<std::string> LibraryService::roots() const {
  std::vector<std::string> paths;
  for (const Root& root : roots_) paths.push_back(root.path);
  return paths;
}

std::vector<Root> LibraryService::RootsFor(const ScanRequest& request) {
  if (request.paths.empty()) return roots_;
  std::vector<Root> selected;
  for (const std::string& path : request.paths) {
    const auto known = std::find_if(roots_.begin(), roots_.end(),
                                    [&](const Root& root) { return root.path == path; });
    const bool deep = request.deep.value_or(known == roots_.end() || known->deep);
    Root root = known == roots_.end() ? Root{.path = path} : *known;
    root.deep = deep;
    if (known == roots_.end()) roots_.push_back(root);
    selected.push_back(std::move(root));
  }
  return selected;
}

void LibraryService::Scan(ScanRequest request, ScanDone done) {
  queue_.push_back({std::move(request), std::move(done)});
  if (!running_) StartNext();
}

void LibraryService::StartNext() {
  running_ = !queue_.empty();
  if (!running_) return;
  auto queued = std::make_shared<Queued>(std::move(queue_.front()));
  queue_.pop_front();
  progress_.emplace();
  thread_.Submit([this, queued, roots = RootsFor(queued->request)](std::stop_token stop) {
    auto report = library_.Scan(roots, EventsFor(queued), stop);
    loop_.Post([this, queued, report = std::move(report)]() mutable {
      Finish(*queued, std::move(report));
    });
  });
}

ScanEvents LibraryService::EventsFor(const std::shared_ptr<Queued>& queued) {
  ScanEvents events;
  events.progress = [this, queued, last = std::chrono::steady_clock::time_point()](
                        const ScanProgress& now) mutable {
    const auto time = std::chrono::steady_clock::now();
    if (time < last + kProgressInterval) return;
    last = time;
    loop_.Post([this, queued, now] {
      progress_ = now;
      if (queued->request.progress) queued->request.progress(now);
    });
  };
  events.found = [this](std::vector<ModelSummary> models) {
    loop_.Post([this, models = std::move(models)]() mutable { Replace(std::move(models), {}); });
  };
  return events;
}

void LibraryService::Finish(const Queued& queued, StatusOr<ScanReport> report) {
  progress_.reset();
  first_scan_done_ = true;
  if (report.ok()) {
    spdlog::info("scan: {} models, {} new, {} changed, {} removed, {} findings, {:.2f} s",
                 report->models, report->added, report->changed.size(), report->removed.size(),
                 report->findings.size(), report->seconds);
    Apply(*report);
  }
  queued.done(std::move(report));
  StartNext();
}

void LibraryService::Apply(const ScanReport& report) {
  Replace(report.changed, report.removed);
  for (const auto& [root, state] : report.roots) {
    root_states_[root] = state;
    NoteRoot(root, state);
  }
  // What was needed for this scan alone, of a million files say.
  os::ReturnFreeMemory();
  if (report.added > 0) events_.found();
  if (watcher_ == nullptr) return;
  for (const auto& [root, folders] : report.folders) watcher_->SetFolders(root, folders);
  if (const std::string limitation = watcher_->limitation(); limitation != told_limitation_) {
    if (!limitation.empty()) spdlog::warn("watching: {}", limitation);
    told_limitation_ = limitation;
  }
  ScheduleChanged();
}

void LibraryService::Replace(std::vector<ModelSummary> now, const std::vector<ModelId>& removed) {
  std::set<ComponentId> lost;
  std::vector<ModelId> affected = removed;
  const auto note_old = [&](const ModelId& id) {
    const Model* old = registry_.Find(id);
    if (old == nullptr) return;
    for (const ComponentSummary& component : old->summary.components) lost.insert(component.id);
  };
  // Names move between models, so all that leave go first.
  std::map<std::pair<uint64_t, uint64_t>, os::FileIdentity> left;
  for (const ModelId& id : removed) {
    note_old(id);
    if (const Model* old = registry_.Find(id)) {
      for (const ManifestFile& file : old->summary.files) {
        left[{file.identity.device, file.identity.inode}] = file.identity;
      }
    }
    registry_.Remove(id);
  }
  // A file that moved, or another one that has its inode, size and mtime now.
  const auto took_over = [&](const ModelSummary& summary) {
    return std::any_of(summary.files.begin(), summary.files.end(), [&](const ManifestFile& file) {
      const auto earlier = left.find({file.identity.device, file.identity.inode});
      return earlier != left.end() && os::SameButForCtime(earlier->second, file.identity) &&
             earlier->second != file.identity;
    });
  };
  std::vector<bool> touched;
  for (const ModelSummary& summary : now) {
    const Model* old = registry_.Find(summary.id);
    note_old(summary.id);
    touched.push_back(old != nullptr ? OnlyTouched(old->summary, summary) : took_over(summary));
    if (old != nullptr && !touched.back()) affected.push_back(summary.id);
  }
  std::vector<ModelId> refuted;
  for (size_t i = 0; i < now.size(); ++i) {
    Model& model = registry_.Put(now[i]);
    model.verify_before_use |= touched[i];
    // Found since the scan looked at it.
    if (model.summary.verdict < Verdict::kCorrupt && !claims().RefusalOf(model.summary).ok()) {
      model.summary.verdict = Verdict::kCorrupt;
      refuted.push_back(model.summary.id);
    }
    if (sighted_) sighted_(model.summary);
  }
  std::erase_if(lost, [&](const ComponentId& id) { return !registry_.UsersOf(id).empty(); });
  if (!affected.empty()) events_.dropped(affected, {lost.begin(), lost.end()});
  for (const ModelId& id : refuted) Reinspect(id, [](const Status&) {});
}

void LibraryService::Reinspect(const ModelId& id, std::function<void(Status)> done) {
  const Model* model = registry_.Find(id);
  if (model == nullptr) {
    loop_.Post(
        [done = std::move(done)] { done(Error(ErrorCode::kModelNotFound, "the model is gone")); });
    return;
  }
  const uint64_t disk = model->summary.files.empty() ? 0 : model->summary.files[0].identity.device;
  inspections_.Submit(disk,
                      [this, summary = model->summary, done = std::move(done)](std::stop_token) {
                        auto now = library_.Reinspect(summary);
                        loop_.Post([this, id = summary.id, now = std::move(now), done]() mutable {
                          const Status status = now.status();
                          if (now.ok()) {
                            std::vector<ModelSummary> changed;
                            changed.push_back(*std::move(now));
                            Replace(std::move(changed), {});
                          } else {
                            Replace({}, {id});
                          }
                          done(status);
                        });
                      });
}

void LibraryService::StartWatching() {
  if (!watch_) return;
  auto watcher = Watcher::Create();
  if (watcher.ok()) {
    watcher_ = *std::move(watcher);
    const Status watched =
        loop_.Watch(watcher_->fd(), EPOLLIN, [this](uint32_t) { OnWatcherReadable(); });
    if (!watched.ok()) watcher_.reset();
  }
  if (watcher_ == nullptr) spdlog::warn("new files are found by `warmset scan` only: no inotify");
}

void LibraryService::OnWatcherReadable() {
  const Status read = watcher_->OnReadable(std::chrono::steady_clock::now());
  if (!read.ok()) spdlog::warn("watching: {}", Message(read));
  ScheduleChanged();
}

void LibraryService::ScheduleChanged() {
  loop_.Cancel(watch_timer_);
  const auto now = std::chrono::steady_clock::now();
  const auto due = watcher_->NextDue();
  if (!due && watcher_->complete()) return;
  watch_timer_ = loop_.RunAfter(due ? *due - now : kRescanInterval, [this] {
    ScanRequest request;
    const auto changes = watcher_->TakeChanged(std::chrono::steady_clock::now());
    for (const Watcher::Change& change : changes) request.paths.push_back(change.root);
    if (!changes.empty() || !watcher_->complete()) {
      Scan(std::move(request), [](const StatusOr<ScanReport>&) {});
    }
    ScheduleChanged();
  });
}

void LibraryService::ScheduleRootCheck() {
  loop_.RunAfter(kRootCheckInterval, [this] { CheckRoots(); });
}

void LibraryService::CheckRoots() {
  const auto now = std::chrono::steady_clock::now();
  for (const std::string& root : roots()) {
    const auto look = looks_.find(root);
    if (look == looks_.end()) {
      CheckRoot(root);
    } else if (!look->second.silent && now - look->second.since >= ScanPatience().walk) {
      look->second.silent = true;
      library_.silent().Add(root);
    }
  }
  if (watcher_ != nullptr && library_.silent().All().empty()) RescanRoots(watcher_->Retry());
  ScheduleRootCheck();
}

// A share that hangs holds up the thread of its root, and nothing else.
void LibraryService::CheckRoot(const std::string& root) {
  looks_[root] = {std::chrono::steady_clock::now()};
  root_checks_.Start([this, root](std::stop_token) {
    RootState now = LookAtRoot(root);
    loop_.Post([this, root, now = std::move(now)] {
      const auto look = looks_.extract(root);
      if (look.mapped().silent) library_.silent().Remove(root);
      const auto known = root_states_.find(root);
      if (known != root_states_.end() && known->second != now) RescanRoots({root});
    });
  });
}

void LibraryService::OnSilence(const std::string& place, bool silent) {
  const std::string subject = "silence of " + place;
  if (silent) {
    Note(subject,
         fmt::format("{} does not answer: what is known below it stays as it was, and what "
                     "is in RAM is served; look at the disk or the server",
                     place));
    return;
  }
  Note(subject, "");
  for (const Root& root : roots_) {
    if (place == root.path || place.starts_with(root.path + "/")) RescanRoots({root.path});
  }
}

void LibraryService::NoteRoot(const std::string& path, const RootState& state) {
  // What a scan was asked for, or ComfyUI may use, need not be there.
  const auto& configured = configured_roots_;
  if (std::find(configured.begin(), configured.end(), path) == configured.end()) return;
  Note("root " + path,
       state.there ? ""
                   : fmt::format("the root {} is not there: its models are found when it comes; "
                                 "if it never will, take it out of the configuration",
                                 path));
}

void LibraryService::Note(const std::string& subject, const std::string& text) {
  const auto known = notices_.find(subject);
  if (text == (known == notices_.end() ? "" : known->second)) return;
  if (text.empty()) {
    notices_.erase(known);
  } else {
    notices_[subject] = text;
  }
  if (events_.notice) events_.notice(subject, text);
}

void LibraryService::RescanRoots(std::vector<std::string> paths) {
  // The scan that runs may have passed what changed; one that waits has not.
  std::erase_if(paths, [&](const std::string& path) {
    return std::any_of(queue_.begin(), queue_.end(), [&](const Queued& queued) {
      const auto& waiting = queued.request.paths;
      return waiting.empty() || std::find(waiting.begin(), waiting.end(), path) != waiting.end();
    });
  });
  if (paths.empty()) return;
  Scan({.paths = std::move(paths), .deep = {}, .progress = {}}, [](const StatusOr<ScanReport>&) {});
}

}  // namespace warmset
