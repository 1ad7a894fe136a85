#include "daemon/path_service.h"

#include <filesystem>
#include <system_error>
#include <utility>

namespace warmset {
namespace {

namespace fs = std::filesystem;

// A model's folder has configurations and tokenizers beside its weights; one
// with more files than this is no model's folder.
constexpr size_t kMaxFilesBeside = 4096;

std::map<std::string, LinkTarget> FilesBeside(const std::string& folder) {
  std::map<std::string, LinkTarget> targets;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(folder, options, error);
       !error && it != fs::recursive_directory_iterator() && targets.size() < kMaxFilesBeside;
       it.increment(error)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored)) continue;
    targets[fs::path(it->path()).lexically_relative(folder).string()] =
        LinkTarget{-1, it->path().string()};
  }
  return targets;
}

bool IsFolder(const ModelSummary& summary) {
  return summary.layout == ModelLayout::kTransformers || summary.layout == ModelLayout::kDiffusers;
}

}  // namespace

void PathService::Open(const ModelId& model, std::string user, Done done) {
  ModelUse::Request request{
      .model = model, .whole_files = true, .user = std::move(user)};
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
                         const std::map<std::string, LinkTarget>& beside, const Done& done) {
  const Model* model = registry_.Find(id);
  if (model == nullptr) return done(Error(ErrorCode::kFileChanged, "the model is gone"));
  const ModelSummary& summary = model->summary;
  std::map<std::string, LinkTarget> targets = beside;
  Opened opened;
  for (const ModelUse::Component& file : files.components) {
    if (file.index >= summary.files.size()) {
      return done(Error(ErrorCode::kFileChanged, summary.name + " changed meanwhile"));
    }
    targets[summary.files[file.index].path] = LinkTarget{file.entry().data_fd(), ""};
    opened.entries.push_back(file.held);
  }
  if (summary.layout == ModelLayout::kSharded) {
    targets[fs::path(summary.path).filename().string()] = LinkTarget{-1, summary.path};
  }
  Close(id);
  auto folder = links_.Replace(id, targets);
  if (!folder.ok()) return done(folder.status());
  opened.path = summary.layout == ModelLayout::kFile ? *folder + "/" + summary.files[0].path : *folder;
  const std::string path = opened.path;
  opened_[id] = std::move(opened);
  done(path);
}

void PathService::Close(const ModelId& id) {
  const auto node = opened_.extract(id);
  if (node.empty()) return;
  links_.Remove(id);
  for (const ComponentCache::Held& held : node.mapped().entries) {
    const ComponentId component = held->entry().component();
    if (registry_.UsersOf(component).empty()) cache_.Drop(component);
  }
}

}  // namespace warmset
