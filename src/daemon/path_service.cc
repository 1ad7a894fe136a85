#include "daemon/path_service.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "fmt/format.h"
#include "os/file.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

// A model's folder has configurations and tokenizers beside its weights; one
// with more files than this is no model's folder.
constexpr size_t kMaxFilesBeside = 4096;
// For the list of a folder's files.
constexpr std::chrono::seconds kPatience{10};

std::map<std::string, PathTarget> FilesBeside(const std::string& folder) {
  std::map<std::string, PathTarget> targets;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(folder, options, error);
       !error && it != fs::recursive_directory_iterator() && targets.size() < kMaxFilesBeside;
       it.increment(error)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored)) continue;
    targets[fs::path(it->path()).lexically_relative(folder).string()] =
        PathTarget{.on_disk = it->path().string()};
  }
  return targets;
}

bool IsFolder(const ModelSummary& summary) {
  return summary.layout == ModelLayout::kTransformers || summary.layout == ModelLayout::kDiffusers;
}

// The one file that programs are given of a model: of a split GGUF the first part, from
// which they find the others. Empty where they are given the folder.
std::string FileToOpen(const ModelSummary& summary) {
  if (summary.layout == ModelLayout::kFile) return summary.files[0].path;
  if (IsFolder(summary)) return "";
  if (summary.files.size() == 1) return summary.files[0].path;
  const std::string named = fs::path(summary.path()).filename().string();
  const bool is_part = std::any_of(summary.files.begin(), summary.files.end(),
                                   [&](const ManifestFile& file) { return file.path == named; });
  return is_part ? named : "";
}

}  // namespace

ModelUse::UseId PathService::Open(ModelUse::Request request, Done done) {
  const ModelId model = request.model;
  request.whole_files = true;
  return uses_.Use(std::move(request), [this, model, done = std::move(done)](auto files) {
    if (!files.ok()) return done(files.status());
    Link(model, *files, done);
  });
}

void PathService::Link(const ModelId& id, const ModelUse::Result& files, const Done& done) {
  const Model* model = registry_.Find(id);
  if (model == nullptr) return done(Error(ErrorCode::kFileChanged, "the model is gone"));
  if (!IsFolder(model->summary)) return Finish(id, files, {}, done);
  // Its disk may not answer: then what was opened before is as good as ever.
  if (!files.warnings.empty() && AnswerAsOpen(id, files.warnings.front(), done)) return;
  // The files hold entries, which only the loop may let go.
  auto held = std::make_shared<const ModelUse::Result>(files);
  auto answered = std::make_shared<bool>(false);
  const auto late =
      loop_.RunAfter(kPatience, [this, id, done, answered, folder = model->summary.folder] {
        *answered = true;
        const std::string what = fmt::format(
            "{} has not answered for {} s: its disk or server hangs", folder, kPatience.count());
        if (!AnswerAsOpen(id, what + "; what was opened before is served", done)) {
          done(Error(ErrorCode::kTimeout, what));
        }
      });
  const uint64_t disk = model->summary.files[0].identity.device;
  disks_.Submit(disk, [this, id, held = std::move(held), done, answered, late,
                       folder = model->summary.folder](std::stop_token) mutable {
    auto beside = FilesBeside(folder);
    loop_.Post(
        [this, id, held = std::move(held), done, answered, late, beside = std::move(beside)] {
          if (*answered) return;
          loop_.Cancel(late);
          Finish(id, *held, beside, done);
        });
  });
}

bool PathService::AnswerAsOpen(const ModelId& id, std::string warning, const Done& done) {
  const OpenedPath* const open = Find(id);
  if (open == nullptr) return false;
  OpenedPath answer = *open;
  answer.warnings.push_back(std::move(warning));
  done(std::move(answer));
  return true;
}

void PathService::Finish(const ModelId& id, const ModelUse::Result& files,
                         const std::map<std::string, PathTarget>& beside, const Done& done) {
  const Model* model = registry_.Find(id);
  if (model == nullptr) return done(Error(ErrorCode::kFileChanged, "the model is gone"));
  const ModelSummary& summary = model->summary;
  if (summary.verdict != Verdict::kOk) {
    return done(Error(ErrorCode::kCorruptedModel,
                      fmt::format("{} was found to be {} meanwhile; `warmset show` says why",
                                  summary.name, VerdictName(summary.verdict))));
  }
  std::map<std::string, PathTarget> targets = beside;
  Opened opened;
  for (const ModelUse::Component& file : files.components) {
    if (file.index >= summary.files.size()) {
      return done(Error(ErrorCode::kFileChanged, summary.name + " changed meanwhile"));
    }
    if (file.entry().guarded() && file.entry().data().lease().broken()) {
      return done(Error(ErrorCode::kFileChanged,
                        summary.name + ": a program writes its file in RAM; ask again"));
    }
    targets[summary.files[file.index].path] = PathTarget{.memory = &file.entry().data()};
    opened.files.push_back({file.file, file.held, summary.files[file.index].path});
  }
  const std::string file_to_open = FileToOpen(summary);
  if (summary.layout == ModelLayout::kSharded && file_to_open.empty()) {
    targets[fs::path(summary.path()).filename().string()] = PathTarget{.on_disk = summary.path()};
  }
  const auto placed = folder_.Update(id, targets);
  if (!placed.ok()) return done(placed.status());
  opened.path.folder = placed->folder;
  opened.path.path = file_to_open.empty() ? placed->folder : placed->folder + "/" + file_to_open;
  for (const ModelUse::Component& file : files.components) {
    const std::string& name = summary.files[file.index].path;
    const auto link = placed->links.find(name);
    const Status why = link != placed->links.end() ? link->second : file.unguarded;
    opened.path.parts.push_back({name, file.entry().bytes(), file.entry().guarded() && why.ok()});
    if (opened.path.reason.empty() && !why.ok()) opened.path.reason = Message(why);
  }
  for (const FileView& view : files.views) {
    for (const ModelUse::Component& file : files.components) {
      if (file.index != view.file || !IsOwn(file.file)) continue;
      opened.views[view.component] = {file.file, view.ranges};
    }
  }
  std::swap(opened_[id], opened);
  DropViewed(opened_[id]);
  DropUnused(std::move(opened.files));
  Record(id);
  OpenedPath answer = opened_[id].path;
  answer.warnings = files.warnings;
  done(std::move(answer));
}

void PathService::DropViewed(const Opened& opened) {
  for (const auto& [component, view] : opened.views) {
    if (cache_.IsBusy(component) || registry_.UsersOf(component).size() > 1) continue;
    cache_.Drop(component);
  }
}

std::optional<ModelUse::View> PathService::ViewOf(const ComponentId& component) const {
  for (const Model* model : registry_.UsersOf(component)) {
    const auto opened = opened_.find(model->summary.id);
    if (opened == opened_.end()) continue;
    const auto view = opened->second.views.find(component);
    if (view == opened->second.views.end()) continue;
    for (const File& file : opened->second.files) {
      if (file.id == view->second.file) return ModelUse::View{file.held, view->second.ranges};
    }
  }
  return std::nullopt;
}

std::set<ComponentId> PathService::ViewsOf(const ComponentId& file) const {
  std::set<ComponentId> components;
  for (const auto& [model, opened] : opened_) {
    for (const auto& [component, view] : opened.views) {
      if (view.file == file) components.insert(component);
    }
  }
  return components;
}

void PathService::Withdraw(const ComponentId& component) {
  const std::vector<ComponentId> ids = cache_.SharedBy(component);
  const auto affected = [&](const File& file) {
    return std::count(ids.begin(), ids.end(), file.id) > 0;
  };
  std::vector<ModelId> again;
  for (auto& [model, opened] : opened_) {
    for (const File& file : opened.files) {
      if (affected(file)) folder_.RemoveName(model, file.name);
    }
    if (std::erase_if(opened.files, affected) > 0) again.push_back(model);
  }
  if (const Entry* const entry = cache_.Find(component)) entry->data().lease().Yield();
  for (const ComponentId& id : ids) cache_.Drop(id);
  for (const ModelId& model : again) {
    Open(model, "", [](const StatusOr<OpenedPath>& opened) {
      if (!opened.ok()) spdlog::warn("a path is gone: {}", Message(opened.status()));
    });
  }
}

uint64_t PathService::Close(const ModelId& id) {
  auto node = opened_.extract(id);
  if (node.empty()) return 0;
  folder_.Remove(id);
  Record(id);
  return DropUnused(std::move(node.mapped().files));
}

void PathService::CloseAll() {
  while (!opened_.empty()) {
    const ModelId model = opened_.begin()->first;
    Close(model);
  }
}

void PathService::Restore(std::function<void()> done) {
  auto models = std::make_shared<std::vector<ModelId>>();
  const auto rows = catalog_.OpenPaths();
  if (!rows.ok()) spdlog::warn("paths are not opened again: {}", Message(rows.status()));
  for (const OpenPathRow& row : rows.value_or(std::vector<OpenPathRow>())) {
    models->push_back(row.model);
  }
  RestoreNext(models, done);
}

void PathService::RestoreNext(const std::shared_ptr<std::vector<ModelId>>& models,
                              const std::function<void()>& done) {
  if (models->empty()) {
    std::vector<ModelId> open;
    for (const auto& [model, opened] : opened_) open.push_back(model);
    folder_.RemoveAllBut(open);
    return done();
  }
  const ModelId model = models->back();
  models->pop_back();
  Open({.model = model, .may_evict = false},
       [this, model, models, done](const StatusOr<OpenedPath>& opened) {
         if (!opened.ok()) {
           spdlog::info("a path is not opened again: {}", Message(opened.status()));
           Record(model);  // that it is not open
         }
         RestoreNext(models, done);
       });
}

void PathService::LeavePinned() {
  for (const auto& [id, opened] : opened_) {
    const Model* const model = registry_.Find(id);
    if (model != nullptr && model->cache_settings->pinned) folder_.Keep(id);
  }
}

void PathService::Record(const ModelId& id) const {
  OpenPathRow row{id, {}};
  const Model* const model = registry_.Find(id);
  const auto opened = opened_.find(id);
  // What was passed is not known to the next daemon.
  if (opened != opened_.end() && model != nullptr && !model->ad_hoc) {
    for (const File& file : opened->second.files) {
      const Entry& entry = file.held->entry();
      const auto identity = entry.guarded() ? os::Identify(entry.data_fd())
                                            : StatusOr<os::FileIdentity>(os::FileIdentity());
      if (!identity.ok()) continue;
      row.files.push_back({file.id, identity->device, identity->inode, identity->size});
    }
  }
  (void)catalog_.SetOpenPath(row);  // a catalog that can't be written is reported by UseRecorder
}

uint64_t PathService::DropUnused(std::vector<File> files) {
  std::map<ComponentId, uint64_t> bytes;
  for (const File& file : files) bytes[file.id] = file.held->entry().bytes();
  files.clear();
  uint64_t freed = 0;
  for (const auto& [component, size] : bytes) {
    if (!IsOwn(component) || OwnerOf(component) != nullptr) continue;
    if (cache_.Drop(component) == EntryStore::Dropped::kFreed) freed += size;
  }
  return freed;
}

uint64_t PathService::OwnBytes(const ModelId& model) const {
  const auto opened = opened_.find(model);
  if (opened == opened_.end()) return 0;
  uint64_t bytes = 0;
  for (const File& file : opened->second.files) {
    if (IsOwn(file.id)) bytes += file.held->entry().bytes();
  }
  return bytes;
}

const Model* PathService::OwnerOf(const ComponentId& file) const {
  if (!IsOwn(file)) return nullptr;
  for (const auto& [id, opened] : opened_) {
    for (const File& held : opened.files) {
      if (held.id == file) return registry_.Find(id);
    }
  }
  return nullptr;
}

}  // namespace warmset
