#include "daemon/model_use.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/nearest.h"
#include "cache/file_verifier.h"
#include "daemon/alternatives.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "inspect/inspect.h"

namespace warmset {
namespace {

// The components that share a file with others. One that is a whole file needs no view,
// and one of several files has none.
std::vector<FileView> ViewsIn(const Manifest& manifest) {
  std::vector<FileView> views;
  for (const ComponentManifest& component : manifest.components) {
    if (component.runs.empty()) continue;
    FileView view{component.id, component.runs[0].file, {}};
    for (const FileRun& run : component.runs) {
      if (run.file == view.file) {
        view.ranges.emplace_back(run.file_offset, run.file_offset + run.bytes);
      }
    }
    const bool of_one_file = view.ranges.size() == component.runs.size();
    const bool whole = BytesIn(view.ranges) == manifest.files[view.file].identity.size;
    if (of_one_file && !whole) views.push_back(std::move(view));
  }
  return views;
}

}  // namespace

// One use on its way. A thread of the pool reads it between Start() and
// OnPrepared(); the loop leaves it alone meanwhile.
struct ModelUse::Operation {
  Request request;
  Done done;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  bool inspected_again = false;

  // Set by Start() for the revision that is known then.
  ModelSummary summary;
  bool verify = false;
  bool files_are_local = false;
  bool admitted = false;
  bool refuted = false;  // a file is known not to be what its name claims
  std::vector<uint32_t> selected;
  std::vector<uint32_t> missing;  // of selected, not in RAM

  Result result;
  size_t pending = 0;
  Status first_error;
};

ModelUse::ModelUse(os::EventLoop& loop, ThreadPool& pool, ModelRegistry& registry,
                   LibraryService& library, ComponentCache& cache, Catalog& catalog)
    : loop_(loop),
      pool_(pool),
      registry_(registry),
      library_(library),
      cache_(cache),
      catalog_(catalog) {}

void ModelUse::Use(Request request, Done done) {
  auto operation = std::make_shared<Operation>();
  operation->request = std::move(request);
  ++open_;
  busy_.insert(operation->request.model);
  operation->done = [this, model = operation->request.model,
                     done = std::move(done)](StatusOr<Result> result) {
    done(std::move(result));
    --open_;  // after what the answer gave rise to
    busy_.erase(busy_.find(model));
  };
  // Not at once: the answer must never come inside the call.
  loop_.Post([this, operation] { Start(operation); });
}

void ModelUse::Start(const Shared& operation) {
  const Model* model = registry_.Find(operation->request.model);
  if (model == nullptr) {
    return Finish(operation, Error(ErrorCode::kModelNotFound, "the model's files are gone"));
  }
  operation->summary = model->summary;
  operation->verify = model->verify_before_use;
  operation->files_are_local = model->files_are_local;
  operation->selected.clear();
  operation->missing.clear();
  operation->result.components.clear();
  operation->refuted = !library_.claims().RefusalOf(operation->summary).ok();
  const auto admitted = Select(*operation, *model);
  if (!admitted.ok()) return Finish(operation, admitted.status());
  operation->admitted = *admitted;
  // What is in RAM already, on this machine's disks, need not wait for a thread.
  constexpr size_t kFewFiles = 8;
  if (operation->missing.empty() && operation->admitted && !operation->verify &&
      operation->files_are_local && operation->summary.files.size() <= kFewFiles &&
      operation->request.admission != Admission::kForced &&
      operation->request.passed_file == nullptr) {
    return OnPrepared(operation, Prepare(*operation, {}));
  }
  pool_.Submit([this, shared = operation](std::stop_token stop) mutable {
    auto prepared = Prepare(*shared, stop);
    // The operation holds entries, which only the loop may let go.
    loop_.Post([this, shared = std::move(shared), prepared = std::move(prepared)]() mutable {
      OnPrepared(shared, std::move(prepared));
    });
  });
}

StatusOr<bool> ModelUse::Select(Operation& operation, const Model& model) {
  const ModelSummary& summary = model.summary;
  const Request& request = operation.request;
  // The daemon by itself never brings back what a check has refuted.
  const bool forced = request.admission == Admission::kForced &&
                      (!operation.refuted || !request.user.empty());
  const bool barred = summary.verdict != Verdict::kOk && !forced;
  if (request.whole_files) {
    if (barred || summary.files.empty()) return false;
    for (uint32_t i = 0; i < summary.files.size(); ++i) operation.missing.push_back(i);
    return true;
  }
  if (summary.components.empty() || (barred && request.admission == Admission::kRefused)) {
    return false;
  }
  ASSIGN_OR_RETURN(operation.selected, SelectComponents(model, request.components));
  for (const uint32_t index : operation.selected) {
    // Held from here on, so that what is in RAM now still is in Ensure().
    const ComponentId& id = summary.components[index].id;
    if (request.preload && cache_.Has(id)) {
      cache_.AddUser(id, request.model);
      if (IsAskedFor(*request.preload)) cache_.CountUse(id);
    } else if (auto held = cache_.Use(id, EntryStore::HoldKind::kPin)) {
      NotePreloadUse(operation, id, true);
      operation.result.components.push_back({index, std::move(held)});
    } else if (auto view = ViewOf(request, id)) {
      if (request.preload) continue;
      NotePreloadUse(operation, id, true);
      operation.result.components.push_back(
          {.index = index, .held = std::move(view->file), .ranges = std::move(view->ranges)});
    } else {
      operation.missing.push_back(index);
    }
  }
  if (!barred || operation.missing.empty()) return true;
  operation.result.components.clear();
  return false;
}

std::optional<ModelUse::View> ModelUse::ViewOf(const Request& request,
                                               const ComponentId& component) const {
  const bool serves = (request.views_serve && request.tensors.empty()) || request.preload;
  if (!serves || !view_of_ || cache_.Has(component)) return std::nullopt;
  return view_of_(component);
}

StatusOr<ModelUse::Prepared> ModelUse::Prepare(const Operation& operation, std::stop_token stop) {
  const ModelSummary& summary = operation.summary;
  std::vector<ExpectedFile> files;
  for (size_t i = 0; i < summary.files.size(); ++i) {
    files.push_back({summary.FilePath(i), summary.files[i].identity});
  }
  if (operation.request.passed_file != nullptr) {
    files[operation.request.passed_index].path =
        os::DescriptorPath(operation.request.passed_file->get());
  }
  Prepared prepared;
  ASSIGN_OR_RETURN(prepared.check, CheckFiles(files, operation.files_are_local));
  if (prepared.check.state != FileState::kSame) return prepared;

  if (!operation.admitted) RETURN_IF_ERROR(library_.claims().RefusalOf(summary));
  if (!operation.admitted || operation.request.admission == Admission::kForced) {
    ASSIGN_OR_RETURN(const Manifest manifest, library_.ManifestOf(summary));
    if (!operation.admitted) {
      const std::string more = "warmset show " + summary.name;
      return manifest.components.empty() ? NothingToUse(manifest, more) : RefusalOf(manifest, more);
    }
    prepared.skipped = SkippedOf(manifest);
  }
  if (operation.verify) {
    const auto& all = operation.request.whole_files ? operation.missing : operation.selected;
    ASSIGN_OR_RETURN(const auto sources, SourcesOf(operation, all));
    for (const ComponentSource& source : sources) {
      if (source.known_digests.empty()) continue;
      RETURN_IF_ERROR(VerifyFiles(source.component, source.files, source.known_digests, stop));
    }
  }
  if (!operation.missing.empty()) {
    ASSIGN_OR_RETURN(prepared.sources, SourcesOf(operation, operation.missing));
  }
  if (operation.request.whole_files) {
    ASSIGN_OR_RETURN(const Manifest manifest, library_.ManifestOf(summary));
    prepared.views = ViewsIn(manifest);
  }
  return prepared;
}

StatusOr<std::vector<ComponentSource>> ModelUse::SourcesOf(
    const Operation& operation, const std::vector<uint32_t>& components) {
  const ModelSummary& summary = operation.summary;
  ASSIGN_OR_RETURN(const Manifest manifest, library_.ManifestOf(summary));
  std::vector<ComponentSource> sources;
  for (const uint32_t index : components) {
    ComponentSource source;
    if (operation.request.whole_files) {
      ASSIGN_OR_RETURN(source.component, WholeFileComponent(manifest, index));
    } else {
      source.component = manifest.components[index];
    }
    source.label = manifest.components.size() == 1
                       ? summary.name
                       : fmt::format("{}/{}", summary.name, source.component.name);
    for (uint32_t i = 0; i < summary.files.size(); ++i) {
      source.files.push_back({summary.FilePath(i), summary.files[i].identity, nullptr});
    }
    if (operation.request.passed_file != nullptr) {
      source.files[operation.request.passed_index].passed = operation.request.passed_file;
    }
    ASSIGN_OR_RETURN(auto digests, catalog_.FindDigests(source.component.id));
    if (digests) source.known_digests = std::move(digests->chunks);
    sources.push_back(std::move(source));
  }
  return sources;
}

void ModelUse::OnPrepared(const Shared& operation, StatusOr<Prepared> prepared) {
  if (!prepared.ok()) {
    const Model* model = registry_.Find(operation->request.model);
    const bool refused = !operation->admitted && model != nullptr;
    return Finish(
        operation,
        refused ? WithCandidates(prepared.status(), NamesOfAlternatives(registry_, model->summary))
                : prepared.status());
  }
  operation->result.skipped = std::move(prepared->skipped);
  operation->result.views = std::move(prepared->views);
  const std::string& path = prepared->check.path;
  switch (prepared->check.state) {
    case FileState::kSame:
      if (Model* model = registry_.Find(operation->request.model)) {
        if (operation->verify) model->verify_before_use = false;
        if (model->summary.revision == operation->summary.revision) {
          model->files_are_local = prepared->check.local;
        }
      }
      return Ensure(operation, std::move(prepared->sources));
    case FileState::kCtimeOnly:  // the registry then asks for verification
    case FileState::kChanged:
      return InspectAgain(operation, path);
    case FileState::kGone:
      return library_.Reinspect(operation->request.model, [this, operation, path](const Status&) {
        Finish(operation, Error(ErrorCode::kFileNotFound, path + " is gone from the disk"));
      });
  }
}

void ModelUse::InspectAgain(const Shared& operation, const std::string& path) {
  if (std::exchange(operation->inspected_again, true)) {
    return Finish(operation,
                  Error(ErrorCode::kFileChanged,
                        fmt::format("{} keeps changing; try again when it is written", path)));
  }
  operation->result.components.clear();
  library_.Reinspect(operation->request.model, [this, operation](Status inspected) {
    if (!inspected.ok()) return Finish(operation, inspected);
    Start(operation);
  });
}

void ModelUse::Ensure(const Shared& operation, std::vector<ComponentSource> sources) {
  operation->pending = sources.size();
  for (size_t i = 0; i < sources.size(); ++i) {
    const uint32_t index = operation->missing[i];
    const ComponentId& id = sources[i].component.id;
    NotePreloadUse(*operation, id, cache_.HasOrExpects(id));
    const bool only_compressed = cache_.Find(id) == nullptr && cache_.Has(id);
    if (!operation->request.tensors.empty() && only_compressed) {
      EnsureTensors(operation, index, std::move(sources[i]));
    } else if (operation->request.compressed_serves && only_compressed) {
      TakeCompressed(operation, index, id);
    } else {
      EnsureEntry(operation, index, std::move(sources[i]));
    }
  }
  if (sources.empty()) Finish(operation, OkStatus());
  // Behind what the user waits for.
  const Request& request = operation->request;
  const bool demanded = !request.preload && !request.user.empty() && !operation->inspected_again;
  if (demanded_ && demanded) demanded_(request);
}

void ModelUse::NotePreloadUse(const Operation& operation, const ComponentId& component,
                              bool in_ram) {
  const Request& request = operation.request;
  if (request.preload || request.user.empty() || request.whole_files || operation.inspected_again) {
    return;
  }
  cache_.preloads().Used(component, in_ram);
}

void ModelUse::EnsureEntry(const Shared& operation, uint32_t index, ComponentSource source) {
  const ComponentCache::Wish wish{.may_evict = operation->request.may_evict,
                                  .preload = operation->request.preload,
                                  .guarded = operation->request.whole_files};
  const ComponentId id = source.component.id;
  cache_.Ensure(std::move(source), wish,
                [this, operation, index, id](StatusOr<ComponentCache::Loaded> loaded) {
                  if (!loaded.ok()) return Arrived(operation, loaded.status());
                  std::vector<std::string>& evicted = operation->result.evicted;
                  evicted.insert(evicted.end(), loaded->evicted.begin(), loaded->evicted.end());
                  // Nobody waits for a preload: it must not keep others from the memory.
                  const bool preload = operation->request.preload.has_value();
                  Arrived(operation,
                          Component{index, preload ? nullptr : std::move(loaded->held),
                                    loaded->read_bytes, loaded->decoded, id, loaded->unguarded});
                });
}

void ModelUse::TakeCompressed(const Shared& operation, uint32_t index,
                              const ComponentId& component) {
  cache_.CountUse(component);
  // Not at once: others of the operation may not have been asked for yet.
  loop_.Post([this, operation, index, compressed = cache_.Compressed(component)] {
    Arrived(operation, Component{.index = index, .compressed = compressed});
  });
}

void ModelUse::EnsureTensors(const Shared& operation, uint32_t index, ComponentSource source) {
  const ComponentId id = source.component.id;
  cache_.DecodeTensors(
      id, operation->request.tensors,
      [this, operation, index, source = std::move(source)](auto part) {
        if (part.ok()) {
          return Arrived(operation,
                         Component{.index = index, .decoded = true, .part = *std::move(part)});
        }
        if (CodeOf(part.status()) != ErrorCode::kCorruptedModel) {
          return Arrived(operation, part.status());
        }
        EnsureEntry(operation, index, source);  // its memory was damaged, its files need not be
      });
}

void ModelUse::Arrived(const Shared& operation, StatusOr<Component> component) {
  if (component.ok()) {
    operation->result.components.push_back(*std::move(component));
  } else if (operation->first_error.ok()) {
    operation->first_error = component.status();
  }
  if (--operation->pending > 0) return;
  const Status error = std::exchange(operation->first_error, OkStatus());
  if (CodeOf(error) == ErrorCode::kFileChanged && !error.ok()) {
    return InspectAgain(operation, operation->summary.path);
  }
  Finish(operation, error);
}

Status ModelUse::RefutedMeanwhile(const Operation& operation) {
  if (operation.refuted) return OkStatus();  // the user forced it
  const Status refusal = library_.claims().RefusalOf(operation.summary);
  if (refusal.ok()) return refusal;
  for (const ComponentSummary& component : operation.summary.components) {
    cache_.Drop(component.id);  // it may have been loaded after the check
  }
  return refusal;
}

void ModelUse::Finish(const Shared& operation, Status status) {
  if (status.ok()) status = RefutedMeanwhile(*operation);
  const std::optional<PreloadReason>& preload = operation->request.preload;
  const bool no_room = CodeOf(status) == ErrorCode::kRamLimitExceeded && !status.ok();
  const bool mistyped = CodeOf(status) == ErrorCode::kComponentNotFound && !status.ok();
  if (Model* model = registry_.Find(operation->request.model)) {
    if (!(preload && no_room) && !mistyped) model->last_error = status;
    if (status.ok() && operation->request.is_use && (!preload || IsAskedFor(*preload))) {
      model->last_used_unix_ms = UnixMilliseconds();
      if (!model->ad_hoc) ++uses_[operation->request.model];
    }
  }
  if (!status.ok()) {
    const std::string& name = operation->summary.name;
    const bool named = name.empty() || Message(status).starts_with(name);
    return operation->done(named ? status : Annotate(status, name));
  }
  Result& result = operation->result;
  if (!operation->request.whole_files) {
    for (const Component& component : result.components) {
      cache_.AddUser(operation->summary.components[component.index].id, operation->request.model);
    }
  }
  std::sort(result.components.begin(), result.components.end(),
            [](const Component& a, const Component& b) { return a.index < b.index; });
  result.took = std::chrono::steady_clock::now() - operation->started;
  if (!preload && operation->request.is_use) LogAccess(result);
  if (used_) used_(operation->summary);
  operation->done(std::move(result));
}

void ModelUse::LogAccess(const Result& result) {
  UsageLog::Access access;
  access.seconds = std::chrono::duration<double>(result.took).count();
  for (const Component& component : result.components) {
    const uint64_t bytes = component.bytes();
    access.bytes += bytes;
    access.load_seconds += cache_.costs().LoadSeconds(component.id(), bytes);
    // A device's worker decodes it, later.
    if (component.compressed) {
      access.seconds += cache_.costs().DecodeSeconds(component.id(), bytes);
    }
    const bool decoded = component.decoded || component.compressed != nullptr;
    access.source = std::max(access.source, component.read_bytes > 0 ? UsageLog::Source::kLoaded
                                            : decoded                ? UsageLog::Source::kDecoded
                                                                     : UsageLog::Source::kRaw);
  }
  cache_.usage().AddAccess(access);
}

uint64_t BytesIn(const ByteRanges& ranges) {
  uint64_t bytes = 0;
  for (const auto& [begin, end] : ranges) bytes += end - begin;
  return bytes;
}

std::vector<std::string> AllComponents(const ModelSummary& model) {
  std::vector<std::string> names;
  for (const ComponentSummary& component : model.components) names.push_back(component.name);
  return names;
}

namespace {

// "TextEncoder_2" and "text_encoder_2" are one.
std::string FoldedComponent(std::string_view name) {
  std::string folded = LowerCase(name);
  std::erase_if(folded, [](char c) { return c == '_' || c == '-' || c == ' '; });
  return folded;
}

}  // namespace

StatusOr<std::vector<uint32_t>> SelectComponents(const Model& model,
                                                 const std::vector<std::string>& names) {
  const auto& components = model.summary.components;
  std::vector<uint32_t> selected;
  if (names.empty()) {
    for (uint32_t i = 0; i < components.size(); ++i) {
      if (!IsVariant(model.summary, components[i])) selected.push_back(i);
    }
    return selected;
  }
  for (const std::string& name : names) {
    auto found = std::find_if(components.begin(), components.end(),
                              [&](const auto& component) { return component.name == name; });
    if (found == components.end()) {
      found = std::find_if(components.begin(), components.end(), [&](const auto& component) {
        return FoldedComponent(component.name) == FoldedComponent(name);
      });
    }
    if (found == components.end()) {
      const std::vector<std::string> known = AllComponents(model.summary);
      return WithCandidates(Error(ErrorCode::kComponentNotFound,
                                  fmt::format("{} has no component '{}'; it has {}",
                                              model.summary.name, name, fmt::join(known, ", "))),
                            known);
    }
    const auto index = static_cast<uint32_t>(found - components.begin());
    if (std::find(selected.begin(), selected.end(), index) == selected.end()) {
      selected.push_back(index);
    }
  }
  return selected;
}

}  // namespace warmset
