#include "daemon/passed_files.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "daemon/admission.h"
#include "fmt/format.h"
#include "os/file.h"

namespace warmset {
namespace {

constexpr size_t kMaxNameBytes = 200;

// What the client calls the file, fit to be shown and typed.
std::string BaseNameOf(const std::string& client_path) {
  std::string name = std::filesystem::path(client_path).filename().string();
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return c < 0x20 || c >= 0x7f || c == '/'; }, '_');
  if (name.empty()) name = "passed-file";
  return name.substr(0, kMaxNameBytes);
}

ModelId IdOf(const os::FileIdentity& identity) {
  return DigestOf<ModelId>(AsBytes(fmt::format("fd:{}:{}", identity.device, identity.inode)));
}

FilePart PartOf(const ComponentManifest& component, uint32_t file) {
  FilePart part{component.name, {}};
  bool others = false;
  for (const FileRun& run : component.runs) {
    if (run.file == file) {
      part.ranges.emplace_back(run.entry_offset, run.entry_offset + run.bytes);
    } else {
      others = true;
    }
  }
  if (!others) part.ranges.clear();
  return part;
}

bool HasFile(const ComponentManifest& component, uint32_t file) {
  return std::any_of(component.runs.begin(), component.runs.end(),
                     [&](const FileRun& run) { return run.file == file; });
}

}  // namespace

PassedFiles::PassedFiles(os::EventLoop& loop, ThreadPool& pool, ModelRegistry& registry,
                         LibraryService& library, Catalog& catalog, Inspector& inspector,
                         OnDropped on_dropped)
    : loop_(loop),
      pool_(pool),
      registry_(registry),
      library_(library),
      catalog_(catalog),
      inspector_(inspector),
      on_dropped_(std::move(on_dropped)) {}

void PassedFiles::Resolve(std::shared_ptr<const os::UniqueFd> file,
                          const std::string& client_path, Done done) {
  pool_.Submit([this, file, client_path, done = std::move(done)](std::stop_token) {
    const Status readable = os::CheckReadableFile(file->get());
    const auto identity =
        readable.ok() ? os::Identify(file->get()) : StatusOr<os::FileIdentity>(readable);
    loop_.Post([this, file, client_path, identity, done] {
      if (!identity.ok()) return done(identity.status());
      OnIdentified(file, client_path, *identity, done);
    });
  });
}

void PassedFiles::OnIdentified(std::shared_ptr<const os::UniqueFd> file,
                               const std::string& client_path, const os::FileIdentity& identity,
                               Done done) {
  if (const auto known = registry_.FindByFile(identity)) {
    const auto [model, index] = *known;
    // A model of the library is checked, and inspected again, by its use.
    const bool current =
        !model->ad_hoc || model->summary.files[index].identity == identity;
    if (current) return PartsOf(model->summary.id, index, std::move(done));
  }
  pool_.Submit([this, file, client_path, identity, done = std::move(done)](std::stop_token) {
    auto inspected = Inspect(file->get(), BaseNameOf(client_path));
    loop_.Post([this, client_path, identity, inspected = std::move(inspected), done]() mutable {
      if (!inspected.ok()) return done(inspected.status());
      if (inspected->summary.verdict != Verdict::kOk) {
        Forget(IdOf(identity));
        return done(Annotate(RefusalOf(inspected->manifest, "warmset inspect " + client_path),
                             client_path));
      }
      Register(*std::move(inspected), client_path);
      const auto known = registry_.FindByFile(identity);
      if (!known) {
        return done(Error(ErrorCode::kFileChanged, client_path + " was replaced meanwhile"));
      }
      PartsOf(known->first->summary.id, known->second, done);
    });
  });
}

StatusOr<PassedFiles::Inspected> PassedFiles::Inspect(int fd, const std::string& name) const {
  Inspected inspected;
  ASSIGN_OR_RETURN(inspected.identity, os::Identify(fd));
  ASSIGN_OR_RETURN(warmset::Inspected found, inspector_.InspectFile(fd, name));
  inspected.manifest = std::move(found.manifest);
  Describe(inspected.manifest, inspected.summary);
  inspected.summary.revision = DigestOf<RevisionId>(AsBytes(found.encoded));
  RETURN_IF_ERROR(catalog_.Apply(
      {.models = {},
       .removed = {},
       .inspections = {{inspected.summary.revision, std::move(found.encoded), OkStatus()}}}));
  return inspected;
}

void PassedFiles::Register(Inspected inspected, const std::string& client_path) {
  ModelSummary& summary = inspected.summary;
  summary.id = IdOf(inspected.identity);
  summary.path = client_path;
  summary.folder = std::filesystem::path(client_path).parent_path().string();

  const Model* old = registry_.Find(summary.id);
  std::set<ComponentId> lost;
  bool touched_only = false;
  if (old != nullptr) {
    summary.name = old->summary.name;
    touched_only = os::SameButForCtime(old->summary.files[0].identity, inspected.identity);
    for (const auto& component : old->summary.components) lost.insert(component.id);
  } else {
    summary.name = UniqueName(client_path);
  }
  Model& model = registry_.Put(std::move(summary));
  model.ad_hoc = true;
  model.verify_before_use = touched_only;
  std::erase_if(lost, [&](const ComponentId& id) { return !registry_.UsersOf(id).empty(); });
  if (!lost.empty()) on_dropped_({model.summary.id}, {lost.begin(), lost.end()});
}

// The file has other content now, which can't be used.
void PassedFiles::Forget(const ModelId& id) {
  const Model* old = registry_.Find(id);
  if (old == nullptr) return;
  std::set<ComponentId> lost;
  for (const auto& component : old->summary.components) lost.insert(component.id);
  registry_.Remove(id);
  std::erase_if(lost, [&](const ComponentId& component) {
    return !registry_.UsersOf(component).empty();
  });
  on_dropped_({id}, {lost.begin(), lost.end()});
}

void PassedFiles::Look(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path,
                       std::function<void(const StatusOr<Manifest>&)> done) {
  pool_.Submit([this, file, client_path, done = std::move(done)](std::stop_token) {
    auto inspected = Inspect(file->get(), BaseNameOf(client_path));
    auto manifest = inspected.ok() ? StatusOr<Manifest>(std::move(inspected->manifest))
                                   : inspected.status();
    loop_.Post([manifest = std::move(manifest), done] { done(manifest); });
  });
}

std::string PassedFiles::UniqueName(const std::string& client_path) const {
  const std::string base = BaseNameOf(client_path);
  std::string name = base;
  for (int i = 2; registry_.all().contains(name); ++i) name = fmt::format("{}~{}", base, i);
  return name;
}

void PassedFiles::PartsOf(const ModelId& id, uint32_t index, Done done) {
  const ModelSummary& known = registry_.Find(id)->summary;
  if (known.files.size() == 1) {  // then every component is of this file alone
    PassedFile file{known.id, known.revision, index, {}};
    for (const ComponentSummary& component : known.components) {
      file.parts.push_back({component.name, {}});
    }
    return done(std::move(file));
  }
  pool_.Submit([this, summary = known, index,
                done = std::move(done)](std::stop_token) {
    StatusOr<PassedFile> result = PassedFile{summary.id, summary.revision, index, {}};
    const auto manifest = library_.ManifestOf(summary);
    if (manifest.ok()) {
      for (const ComponentManifest& component : manifest->components) {
        if (HasFile(component, index)) result->parts.push_back(PartOf(component, index));
      }
    } else {
      result = manifest.status();
    }
    loop_.Post([result = std::move(result), done] { done(result); });
  });
}

}  // namespace warmset
