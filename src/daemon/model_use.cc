#include "daemon/model_use.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/nearest.h"
#include "daemon/alternatives.h"
#include "daemon/model_errors.h"
#include "daemon/model_use_operation.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {

ModelUse::ModelUse(os::EventLoop& loop, ThreadPool& pool, DiskThreads& disks,
                   ModelRegistry& registry, LibraryService& library, ComponentCache& cache,
                   Catalog& catalog, DiskPatience patience)
    : loop_(loop),
      pool_(pool),
      disks_(disks),
      patience_(patience),
      registry_(registry),
      library_(library),
      cache_(cache),
      catalog_(catalog) {}

ModelUse::UseId ModelUse::Use(Request request, Done done) {
  auto operation = std::make_shared<Operation>();
  operation->id = ++last_use_;
  operation->request = std::move(request);
  operation->done = [this, id = operation->id, model = operation->request.model,
                     done = std::move(done)](StatusOr<Result> result) {
    done(std::move(result));
    open_.erase(id);  // after what the answer gave rise to
    busy_.erase(busy_.find(model));
  };
  open_.emplace(operation->id, operation);
  busy_.insert(operation->request.model);
  if (watch_ == 0) watch_ = loop_.RunAfter(kStandstillLooks, [this] { WatchStandstill(); });
  // Not at once: the answer must never come inside the call.
  loop_.Post([this, operation] { Start(operation); });
  return operation->id;
}

void ModelUse::Start(const Shared& operation) {
  if (operation->finished) return;
  const Model* model = registry_.Find(operation->request.model);
  if (model == nullptr) {
    return Finish(operation, Error(ErrorCode::kModelNotFound, "the model's files are gone"));
  }
  auto attempt = std::make_shared<Attempt>();
  attempt->summary = std::make_shared<const ModelSummary>(model->summary);
  attempt->verify = model->verify_before_use;
  attempt->files_are_local = model->files_are_local;
  attempt->refuted = !library_.claims().RefusalOf(*attempt->summary).ok();
  operation->result.components.clear();
  operation->attempt = attempt;
  const auto admitted = Select(*operation, *attempt, *model);
  if (!admitted.ok()) return Finish(operation, admitted.status());
  attempt->admitted = *admitted;
  // What is in RAM already, on this machine's disks, need not wait for a thread.
  constexpr size_t kFewFiles = 8;
  operation->preparing = true;
  if (attempt->missing.empty() && attempt->admitted && !attempt->verify &&
      attempt->files_are_local && attempt->summary->files.size() <= kFewFiles &&
      operation->request.admission != Admission::kForced &&
      operation->request.passed_file == nullptr) {
    return OnPrepared(operation, attempt, Prepare(operation->request, *attempt, {}));
  }
  LookAtFiles(operation);
}

StatusOr<bool> ModelUse::Select(Operation& operation, Attempt& attempt, const Model& model) {
  const ModelSummary& summary = model.summary;
  const Request& request = operation.request;
  // The daemon by itself never brings back what a check has refuted.
  const bool forced =
      request.admission == Admission::kForced && (!attempt.refuted || !request.user.empty());
  const bool barred = summary.verdict != Verdict::kOk && !forced;
  if (request.whole_files) {
    if (barred || summary.files.empty()) return false;
    for (uint32_t i = 0; i < summary.files.size(); ++i) attempt.missing.push_back(i);
    return true;
  }
  if (summary.components.empty() || (barred && request.admission == Admission::kRefused)) {
    return false;
  }
  ASSIGN_OR_RETURN(attempt.selected, SelectComponents(model, request.components));
  for (const uint32_t index : attempt.selected) {
    // Held from here on, so that what is in RAM now still is in Ensure().
    const ComponentId& id = summary.components[index].id;
    if (request.preload && cache_.Has(id)) {
      cache_.AddUser(id, request.model);
      if (IsAskedFor(*request.preload)) cache_.CountUse(id);
    } else if (auto held = request.counts() ? cache_.Use(id, EntryStore::HoldKind::kPin)
                                            : cache_.HoldUncounted(id)) {
      NotePreloadUse(operation, id, true);
      operation.result.components.push_back({index, std::move(held)});
    } else if (auto view = ViewOf(request, id)) {
      if (request.preload) continue;
      NotePreloadUse(operation, id, true);
      operation.result.components.push_back(
          {.index = index, .held = std::move(view->file), .ranges = std::move(view->ranges)});
    } else {
      attempt.missing.push_back(index);
    }
  }
  if (!barred || attempt.missing.empty()) return true;
  operation.result.components.clear();
  return false;
}

std::optional<ModelUse::View> ModelUse::ViewOf(const Request& request,
                                               const ComponentId& component) const {
  const bool serves = (request.views_serve && request.tensors.empty()) || request.preload;
  if (!serves || !view_of_ || cache_.Has(component)) return std::nullopt;
  return view_of_(component);
}

void ModelUse::OnPrepared(const Shared& operation, const SharedAttempt& attempt,
                          StatusOr<Prepared> prepared) {
  // It may have been served without, given up, or begun anew.
  if (operation->finished || operation->attempt != attempt || !operation->preparing) return;
  operation->preparing = false;
  ++operation->steps;
  if (!prepared.ok()) {
    const Model* model = registry_.Find(operation->request.model);
    const bool refused = !attempt->admitted && model != nullptr;
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
        if (attempt->verify) model->verify_before_use = false;
        if (model->summary.revision == attempt->summary->revision) {
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
  ++operation->steps;
  library_.Reinspect(operation->request.model, [this, operation](Status inspected) {
    if (!inspected.ok()) return Finish(operation, inspected);
    Start(operation);
  });
}

Status ModelUse::CheckRoom(const Operation& operation,
                           const std::vector<ComponentSource>& sources) const {
  const Request& request = operation.request;
  ByteCount needed;
  for (const ComponentSource& source : sources) {
    const ComponentId& id = source.component.id;
    const bool compressed_will_do = request.compressed_serves || !request.tensors.empty();
    if (cache_.Find(id) != nullptr || cache_.IsOnItsWay(id)) continue;
    if (compressed_will_do && cache_.Has(id)) continue;
    needed += EntryMemory(source.component);
  }
  return request.may_evict && needed > ByteCount() ? cache_.CheckRoom(needed) : OkStatus();
}

void ModelUse::Ensure(const Shared& operation, std::vector<ComponentSource> sources) {
  if (const Status room = CheckRoom(*operation, sources); !room.ok()) {
    return Finish(operation, room);
  }
  operation->pending = sources.size();
  operation->parts.clear();
  for (size_t i = 0; i < sources.size(); ++i) {
    operation->parts.push_back({.index = operation->attempt->missing[i],
                                .id = sources[i].component.id,
                                .bytes = sources[i].component.entry_bytes});
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    const ComponentId& id = operation->parts[i].id;
    NotePreloadUse(*operation, id, cache_.HasOrExpects(id));
    const bool only_compressed = cache_.Find(id) == nullptr && cache_.Has(id);
    if (!operation->request.tensors.empty() && only_compressed) {
      EnsureTensors(operation, i, std::move(sources[i]));
    } else if (operation->request.compressed_serves && only_compressed) {
      TakeCompressed(operation, i, id);
    } else {
      EnsureEntry(operation, i, std::move(sources[i]));
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

void ModelUse::EnsureEntry(const Shared& operation, size_t part, ComponentSource source) {
  const ComponentCache::Wish wish{.may_evict = operation->request.may_evict,
                                  .counts = operation->request.counts(),
                                  .preload = operation->request.preload,
                                  .guarded = operation->request.whole_files};
  operation->parts[part].wait = cache_.Ensure(
      std::move(source), wish, [this, operation, part](StatusOr<ComponentCache::Loaded> loaded) {
        if (!loaded.ok()) return Arrived(operation, part, loaded.status());
        std::vector<std::string>& evicted = operation->result.evicted;
        evicted.insert(evicted.end(), loaded->evicted.begin(), loaded->evicted.end());
        const Operation::Part& asked = operation->parts[part];
        // Nobody waits for a preload: it must not keep others from the memory.
        const bool preload = operation->request.preload.has_value();
        Arrived(operation, part,
                Component{asked.index, preload ? nullptr : std::move(loaded->held),
                          loaded->read_bytes, loaded->decoded, asked.id, loaded->unguarded});
      });
}

void ModelUse::TakeCompressed(const Shared& operation, size_t part, const ComponentId& component) {
  if (operation->request.counts()) cache_.CountUse(component);
  // Not at once: others of the operation may not have been asked for yet.
  loop_.Post([this, operation, part, compressed = cache_.Compressed(component)] {
    Arrived(operation, part,
            Component{.index = operation->parts[part].index, .compressed = compressed});
  });
}

void ModelUse::EnsureTensors(const Shared& operation, size_t part, ComponentSource source) {
  const ComponentId id = source.component.id;
  cache_.DecodeTensors(
      id, operation->request.tensors,
      [this, operation, part, source = std::move(source)](auto tensors) {
        if (tensors.ok()) {
          return Arrived(operation, part,
                         Component{.index = operation->parts[part].index,
                                   .decoded = true,
                                   .part = *std::move(tensors)});
        }
        if (CodeOf(tensors.status()) != ErrorCode::kCorruptedModel || operation->finished) {
          return Arrived(operation, part, tensors.status());
        }
        EnsureEntry(operation, part, source);  // its memory was damaged, its files need not be
      });
}

void ModelUse::Arrived(const Shared& operation, size_t part, StatusOr<Component> component) {
  if (operation->finished) return;
  ++operation->steps;
  operation->parts[part].arrived = true;
  if (component.ok()) {
    operation->result.components.push_back(*std::move(component));
  } else if (operation->first_error.ok()) {
    operation->first_error = component.status();
  }
  if (--operation->pending > 0) return;
  const Status error = std::exchange(operation->first_error, OkStatus());
  if (CodeOf(error) == ErrorCode::kFileChanged && !error.ok()) {
    return InspectAgain(operation, operation->attempt->summary->path());
  }
  Finish(operation, error);
}

Status ModelUse::RefutedMeanwhile(const Operation& operation) {
  if (operation.attempt == nullptr || operation.attempt->refuted) {
    return OkStatus();  // the user forced it
  }
  const Status refusal = library_.claims().RefusalOf(*operation.attempt->summary);
  if (refusal.ok()) return refusal;
  for (const ComponentSummary& component : operation.attempt->summary->components) {
    cache_.Drop(component.id);  // it may have been loaded after the check
  }
  return refusal;
}

void ModelUse::Finish(const Shared& operation, Status status) {
  if (std::exchange(operation->finished, true)) return;
  if (status.ok()) status = RefutedMeanwhile(*operation);
  loop_.Cancel(operation->late_timer);
  if (Model* model = registry_.Find(operation->request.model)) {
    NoteOutcome(*model, status);
    if (status.ok() && operation->request.counts()) CountUse(*model);
  }
  if (!status.ok()) {
    const std::string name = operation->attempt != nullptr ? operation->attempt->summary->name : "";
    const bool named = name.empty() || Message(status).starts_with(name);
    return operation->done(named ? status : Annotate(status, name));
  }
  Result& result = operation->result;
  if (!operation->request.whole_files) {
    for (const Component& component : result.components) {
      cache_.AddUser(operation->attempt->summary->components[component.index].id,
                     operation->request.model);
    }
  }
  std::sort(result.components.begin(), result.components.end(),
            [](const Component& a, const Component& b) { return a.index < b.index; });
  result.model = operation->attempt->summary;
  result.took = std::chrono::steady_clock::now() - operation->started;
  if (!operation->request.preload && operation->request.counts()) LogAccess(result);
  if (used_) used_(*operation->attempt->summary);
  operation->done(std::move(result));
}

void ModelUse::CountUse(Model& model) {
  model.last_used_unix_ms = UnixMilliseconds();
  if (model.ad_hoc) return;  // forgotten with it
  NewUses& uses = uses_[model.summary.id];
  ++uses.count;
  uses.last_unix_ms = model.last_used_unix_ms;
  if (counted_) counted_(model.summary.id);
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
