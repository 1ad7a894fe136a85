#include "daemon/passed_files.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include "daemon/admission.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/file_names.h"

namespace warmset {
namespace {

constexpr size_t kMaxNameBytes = 200;
// What a client does next, after a lease ended, may need the model again.
constexpr std::chrono::milliseconds kSweepDelay{500};
constexpr std::chrono::seconds kLookInterval{5};

// What the client calls the file, fit to be shown and typed.
std::string BaseNameOf(const std::string& client_path) {
  std::string name = std::filesystem::path(client_path).filename().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f || c == '/'; },
      '_');
  if (name.empty()) name = "passed-file";
  return name.substr(0, kMaxNameBytes);
}

// A path that leads to the file is what tells its model from others, over its revisions.
// Where there is none (the file was deleted, or lies in a container), the file is, too.
ModelId AdHocId(const std::vector<std::string>& paths, const std::string& client_path,
                const os::FileIdentity& identity) {
  const std::string key =
      paths.empty() ? fmt::format("passed:{}:{}:{}", identity.device, identity.inode, client_path)
                    : "path:" + paths.front();
  return DigestOf<ModelId>(AsBytes(key));
}

bool IsSameInode(const os::FileIdentity& a, const os::FileIdentity& b) {
  return a.device == b.device && a.inode == b.inode;
}

bool LeadsTo(const std::string& path, const os::FileIdentity& identity) {
  const auto found = os::IdentifyPath(path);
  return found.ok() && IsSameInode(*found, identity);
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

PassedFiles::PassedFiles(os::EventLoop& loop, ThreadPool& pool, DiskThreads& disks,
                         ModelRegistry& registry, LibraryService& library, Catalog& catalog, Inspector& inspector,
                         Events events)
    : loop_(loop),
      pool_(pool),
      disks_(disks),
      registry_(registry),
      library_(library),
      catalog_(catalog),
      inspector_(inspector),
      events_(std::move(events)) {}

void PassedFiles::Resolve(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path,
                          Done done) {
  auto passed = std::make_shared<Passed>();
  passed->file = std::move(file);
  passed->client_path = client_path;
  passed->done = std::move(done);
  disks_.Submit(os::KnownDeviceOf(passed->file->get()), [this, passed](std::stop_token) {
    const Status identified = Identify(*passed);
    loop_.Post([this, passed, identified] {
      if (!identified.ok()) return passed->done(identified);
      FindModel(passed);
    });
  });
}

Status PassedFiles::Identify(Passed& passed) {
  RETURN_IF_ERROR(os::CheckReadableFile(passed.file->get()));
  ASSIGN_OR_RETURN(const uint64_t links, os::CountLinks(passed.file->get()));
  passed.is_deleted = links == 0;
  ASSIGN_OR_RETURN(passed.identity, os::Identify(passed.file->get()));
  const auto add = [&](const std::filesystem::path& path) {
    const std::string normal = path.lexically_normal().string();
    const bool known =
        std::find(passed.paths.begin(), passed.paths.end(), normal) != passed.paths.end();
    if (path.is_absolute() && !known && LeadsTo(normal, passed.identity)) {
      passed.paths.push_back(normal);
    }
  };
  add(passed.client_path);
  // As the kernel names the file, whatever the client says.
  if (const auto target = os::NameOfDescriptor(passed.file->get()); target.ok()) add(*target);
  return OkStatus();
}

void PassedFiles::FindModel(const SharedPassed& passed) {
  if (const auto known = registry_.FindByFile(passed->identity)) {
    const auto [model, index] = *known;
    if (model->summary.files[index].identity == passed->identity) {
      return PartsOf(model->summary.id, index, std::move(passed->done));
    }
  }
  const Model* candidate = CandidateFor(*passed);
  if (candidate == nullptr) return InspectAdHoc(passed);
  passed->looked_at.insert(candidate->summary.id);
  library_.Reinspect(candidate->summary.id, [this, passed](const Status&) { FindModel(passed); });
}

const Model* PassedFiles::CandidateFor(const Passed& passed) {
  const auto usable = [&](const Model* model) {
    return !model->ad_hoc && !passed.looked_at.contains(model->summary.id);
  };
  for (const std::string& path : passed.paths) {
    const auto at_path = registry_.FindByPath(path);
    if (at_path && usable(at_path->first)) return at_path->first;
  }
  // Written over in place, linked, or moved; or another file that has its inode now.
  const auto known = registry_.FindByFile(passed.identity);
  return known && usable(known->first) ? known->first : nullptr;
}

// What is gone makes room first, and keeps no name that this file could have.
void PassedFiles::InspectAdHoc(const SharedPassed& passed) {
  Sweep([this, passed](size_t) { InspectAdHocNow(passed); });
}

void PassedFiles::InspectAdHocNow(const SharedPassed& passed) {
  disks_.Submit(passed->identity.device, [this, passed](std::stop_token) {
    auto inspected = Inspect(passed->file->get(), BaseNameOf(passed->client_path));
    loop_.Post([this, passed, inspected = std::move(inspected)]() mutable {
      if (!inspected.ok()) return passed->done(inspected.status());
      const ModelId id = AdHocId(passed->paths, passed->client_path, inspected->identity);
      if (inspected->summary.verdict != Verdict::kOk) {
        Forget(id);
        return passed->done(
            Annotate(RefusalOf(inspected->manifest, "warmset inspect " + passed->client_path),
                     passed->client_path));
      }
      // Another request may have brought it, or a scan, by now.
      const auto known = registry_.FindByFile(inspected->identity);
      std::vector<ComponentId> fresh;
      if (!known || known->first->summary.files[known->second].identity != inspected->identity) {
        fresh = Register(*std::move(inspected), *passed);
      }
      if (fresh.empty()) return HandOn(passed);
      const auto arriving = arriving_.insert(id);
      pool_.Submit([this, passed, arriving, fresh = std::move(fresh)](std::stop_token) {
        (void)catalog_.ForgetComponents(fresh);
        loop_.Post([this, passed, arriving] {
          HandOn(passed);
          arriving_.erase(arriving);
        });
      });
    });
  });
}

void PassedFiles::HandOn(const SharedPassed& passed) {
  const auto now = registry_.FindByFile(passed->identity);
  if (!now) {
    return passed->done(
        Error(ErrorCode::kFileChanged, passed->client_path + " was replaced meanwhile"));
  }
  PartsOf(now->first->summary.id, now->second, passed->done);
}

StatusOr<PassedFiles::Inspected> PassedFiles::Inspect(int fd, const std::string& name) const {
  Inspected inspected;
  ASSIGN_OR_RETURN(inspected.identity, os::Identify(fd));
  ASSIGN_OR_RETURN(warmset::Inspected found, inspector_.InspectFile(fd, name));
  inspected.manifest = std::move(found.manifest);
  Describe(inspected.manifest, texts_, inspected.summary);
  inspected.summary.revision = DigestOf<RevisionId>(AsBytes(found.encoded));
  // A full disk is reported elsewhere, and the catalog finds it all the same.
  (void)catalog_.Apply(
      {.models = {},
       .removed = {},
       .inspections = {{inspected.summary.revision, std::move(found.encoded), OkStatus()}}});
  return inspected;
}

std::vector<ComponentId> PassedFiles::Register(Inspected inspected, const Passed& passed) {
  ModelSummary& summary = inspected.summary;
  summary.id = AdHocId(passed.paths, passed.client_path, inspected.identity);
  const std::string path = passed.paths.empty() ? passed.client_path : passed.paths.front();
  summary.folder = std::filesystem::path(path).parent_path().string();
  summary.SetPath(path);

  // An earlier file of that inode, at another path: its bytes are not this one's.
  const auto same_inode = registry_.FindByFile(inspected.identity);
  if (same_inode && same_inode->first->ad_hoc && same_inode->first->summary.id != summary.id) {
    Forget(same_inode->first->summary.id);
  }
  const Model* old = registry_.Find(summary.id);
  std::vector<ComponentId> lost;
  bool touched_only = false;
  if (old != nullptr) {
    summary.name = old->summary.name;
    touched_only = os::SameButForCtime(old->summary.files[0].identity, inspected.identity);
    lost = OwnComponents(*old);
  } else {
    summary.name = UniqueName(path);
  }
  Model& model = registry_.PutAdHoc(summary);
  model.verify_before_use = touched_only;
  model.path_is_known = !passed.paths.empty();
  model.file_is_gone = passed.is_deleted;
  std::erase_if(lost, [&](const ComponentId& id) { return !registry_.UsersOf(id).empty(); });
  if (!lost.empty()) {
    events_.dropped({model.summary.id}, lost);
    events_.forgotten(lost);
  }
  SweepSoon();
  return touched_only ? std::vector<ComponentId>() : OwnComponents(model);
}

std::vector<ComponentId> PassedFiles::OwnComponents(const Model& model) const {
  std::set<ComponentId> own;
  for (const auto& component : model.summary.components) {
    if (registry_.UsersOf(component.id).size() == 1) own.insert(component.id);
  }
  return {own.begin(), own.end()};
}

void PassedFiles::Forget(const ModelId& id) {
  const Model* old = registry_.Find(id);
  if (old == nullptr) return;
  const std::vector<ComponentId> lost = OwnComponents(*old);
  registry_.Remove(id);
  events_.dropped({id}, lost);
  events_.forgotten(lost);
}

void PassedFiles::SweepSoon() {
  if (registry_.AdHoc().empty() || std::exchange(sweep_is_due_, true)) return;
  loop_.RunAfter(kSweepDelay, [this] {
    sweep_is_due_ = false;
    Sweep([](size_t) {});
  });
}

void PassedFiles::Sweep(std::function<void(size_t)> done) {
  std::vector<Place> places;
  for (const Model* model : registry_.AdHoc()) {
    const ModelSummary& summary = model->summary;
    places.push_back({.model = summary.id,
                      .path = model->path_is_known ? summary.path() : std::string(),
                      .identity = summary.files[0].identity});
  }
  pool_.Submit([this, places = std::move(places), done = std::move(done)](std::stop_token) mutable {
    for (Place& place : places) {
      place.leads_elsewhere = !place.path.empty() && !LeadsTo(place.path, place.identity);
    }
    loop_.Post([this, places = std::move(places), done] { done(OnLooked(places)); });
  });
}

size_t PassedFiles::OnLooked(const std::vector<Place>& places) {
  size_t forgotten = 0;
  for (const Place& place : places) {
    Model* model = registry_.Find(place.model);
    // Another revision of it may have come meanwhile.
    if (model == nullptr || model->summary.files[0].identity != place.identity) continue;
    if (model->path_is_known) model->file_is_gone = place.leads_elsewhere;
    const auto known = registry_.FindByFile(place.identity);
    const bool library_has_it = known && !known->first->ad_hoc;
    const auto& components = model->summary.components;
    const bool resident = std::any_of(
        components.begin(), components.end(),
        [&](const ComponentSummary& component) { return events_.is_resident(component.id); });
    const bool of_use = resident && !model->file_is_gone && !library_has_it;
    if (of_use || arriving_.contains(place.model) || events_.is_in_use(*model)) continue;
    if (library_has_it) {
      int64_t& last_used = known->first->last_used_unix_ms;
      last_used = std::max(last_used, model->last_used_unix_ms);
    }
    Forget(place.model);
    ++forgotten;
  }
  // Files go without a word: as long as there are any, it looks again.
  if (!registry_.AdHoc().empty()) {
    loop_.Cancel(look_timer_);
    look_timer_ = loop_.RunAfter(kLookInterval, [this] { SweepSoon(); });
  }
  return forgotten;
}

void PassedFiles::Look(std::shared_ptr<const os::UniqueFd> file, const std::string& client_path,
                       std::function<void(const StatusOr<Manifest>&)> done) {
  disks_.Submit(os::KnownDeviceOf(file->get()), [this, file, client_path,
                                                 done = std::move(done)](std::stop_token) {
    auto inspected = Inspect(file->get(), BaseNameOf(client_path));
    auto manifest =
        inspected.ok() ? StatusOr<Manifest>(std::move(inspected->manifest)) : inspected.status();
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
  pool_.Submit([this, summary = known, index, done = std::move(done)](std::stop_token) {
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
