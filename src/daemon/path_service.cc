#include "daemon/path_service.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace warmset {
namespace {

namespace fs = std::filesystem;

// A model's folder has configurations and tokenizers beside its weights; one
// with more files than this is no model's folder.
constexpr size_t kMaxFilesBeside = 4096;

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
  const std::string named = fs::path(summary.path).filename().string();
  const bool is_part = std::any_of(summary.files.begin(), summary.files.end(),
                                   [&](const ManifestFile& file) { return file.path == named; });
  return is_part ? named : "";
}

}  // namespace

void PathService::Open(const ModelId& model, std::string user, Done done) {
  ModelUse::Request request{.model = model, .whole_files = true, .user = std::move(user)};
  uses_.Use(std::move(request), [this, model, done = std::move(done)](auto files) {
    if (!files.ok()) return done(files.status());
    Link(model, *files, done);
  });
}

void PathService::Link(const ModelId& id, const ModelUse::Result& files, const Done& done) {
  const Model* model = registry_.Find(id);
  if (model == nullptr) return done(Error(ErrorCode::kFileChanged, "the model is gone"));
  if (!IsFolder(model->summary)) return Finish(id, files, {}, done);
  // The files hold entries, which only the loop may let go.
  auto held = std::make_shared<const ModelUse::Result>(files);
  pool_.Submit([this, id, held = std::move(held), done,
                folder = model->summary.folder](std::stop_token) mutable {
    auto beside = FilesBeside(folder);
    loop_.Post([this, id, held = std::move(held), done, beside = std::move(beside)] {
      Finish(id, *held, beside, done);
    });
  });
}

void PathService::Finish(const ModelId& id, const ModelUse::Result& files,
                         const std::map<std::string, PathTarget>& beside, const Done& done) {
  const Model* model = registry_.Find(id);
  if (model == nullptr) return done(Error(ErrorCode::kFileChanged, "the model is gone"));
  const ModelSummary& summary = model->summary;
  std::map<std::string, PathTarget> targets = beside;
  Opened opened;
  for (const ModelUse::Component& file : files.components) {
    if (file.index >= summary.files.size()) {
      return done(Error(ErrorCode::kFileChanged, summary.name + " changed meanwhile"));
    }
    targets[summary.files[file.index].path] = PathTarget{.memory_fd = file.entry().data_fd()};
    opened.files.push_back({file.file, file.held});
  }
  const std::string file_to_open = FileToOpen(summary);
  if (summary.layout == ModelLayout::kSharded && file_to_open.empty()) {
    targets[fs::path(summary.path).filename().string()] = PathTarget{.on_disk = summary.path};
  }
  const auto folder = folder_.Update(id, targets);
  if (!folder.ok()) return done(folder.status());
  opened.path.folder = *folder;
  opened.path.path = file_to_open.empty() ? *folder : *folder + "/" + file_to_open;
  for (const ModelUse::Component& file : files.components) {
    opened.path.parts.push_back(
        {*folder + "/" + summary.files[file.index].path, file.entry().bytes()});
  }
  std::swap(opened_[id], opened);
  DropUnused(std::move(opened.files));
  done(opened_[id].path);
}

uint64_t PathService::Close(const ModelId& id) {
  auto node = opened_.extract(id);
  if (node.empty()) return 0;
  folder_.Remove(id);
  return DropUnused(std::move(node.mapped().files));
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
