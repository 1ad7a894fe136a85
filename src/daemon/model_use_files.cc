// The part of a use that looks at the model's files, on threads that may have to wait for
// ever.
#include <utility>

#include "cache/file_verifier.h"
#include "daemon/model_use_operation.h"
#include "fmt/format.h"
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

void ModelUse::LookAtFiles(const Shared& operation) {
  const SharedAttempt attempt = operation->attempt;
  disks_.Submit(attempt->disk(), [this, shared = operation, attempt](std::stop_token stop) mutable {
    auto prepared = Prepare(shared->request, *attempt, stop);
    // The operation holds entries, which only the loop may let go.
    loop_.Post(
        [this, shared = std::move(shared), attempt, prepared = std::move(prepared)]() mutable {
          EndLook(*shared, attempt);
          OnPrepared(shared, attempt, std::move(prepared));
        });
  });
  // A disk that keeps others waiting is not waited for again.
  const bool hangs = late_.contains(attempt->disk());
  operation->late_timer = loop_.RunAfter(hangs ? std::chrono::milliseconds(0) : patience_.check,
                                         [this, operation, attempt] {
                                           if (operation->attempt == attempt) OnLate(operation);
                                         });
}

void ModelUse::EndLook(Operation& operation, const SharedAttempt& attempt) {
  if (operation.attempt == attempt) loop_.Cancel(operation.late_timer);
  if (!std::exchange(attempt->late, false)) return;
  const auto late = late_.find(attempt->disk());
  if (late != late_.end() && --late->second == 0) late_.erase(late);
}

StatusOr<ModelUse::Prepared> ModelUse::Prepare(const Request& request, const Attempt& attempt,
                                               std::stop_token stop) const {
  const ModelSummary& summary = *attempt.summary;
  std::vector<ExpectedFile> files;
  for (size_t i = 0; i < summary.files.size(); ++i) {
    files.push_back({summary.FilePath(i), summary.files[i].identity});
  }
  if (request.passed_file != nullptr) {
    files[request.passed_index].path = os::DescriptorPath(request.passed_file->get());
  }
  Prepared prepared;
  ASSIGN_OR_RETURN(prepared.check, CheckFiles(files, attempt.files_are_local));
  attempt.looked = true;
  if (prepared.check.state != FileState::kSame) return prepared;

  if (!attempt.admitted) RETURN_IF_ERROR(library_.claims().RefusalOf(summary));
  const bool forced = request.admission == Admission::kForced;
  if (attempt.admitted && !forced && !attempt.verify && attempt.missing.empty()) return prepared;
  ASSIGN_OR_RETURN(const Manifest manifest, library_.ManifestOf(summary));
  if (!attempt.admitted) {
    const std::string more = "warmset show " + summary.name;
    return manifest.components.empty() ? NothingToUse(manifest, more) : RefusalOf(manifest, more);
  }
  if (forced) prepared.skipped = SkippedOf(manifest);
  if (attempt.verify) {
    const auto& all = request.whole_files ? attempt.missing : attempt.selected;
    ASSIGN_OR_RETURN(const auto sources, SourcesOf(request, attempt, manifest, all));
    for (const ComponentSource& source : sources) {
      if (source.known_digests.empty()) continue;
      RETURN_IF_ERROR(VerifyFiles(source.component, source.files, source.known_digests, stop,
                                  &attempt.verified_bytes));
    }
  }
  ASSIGN_OR_RETURN(prepared.sources, SourcesOf(request, attempt, manifest, attempt.missing));
  if (request.whole_files) prepared.views = ViewsIn(manifest);
  return prepared;
}

StatusOr<std::vector<ComponentSource>> ModelUse::SourcesOf(
    const Request& request, const Attempt& attempt, const Manifest& manifest,
    const std::vector<uint32_t>& components) const {
  const ModelSummary& summary = *attempt.summary;
  std::vector<ComponentSource> sources;
  for (const uint32_t index : components) {
    ComponentSource source;
    if (request.whole_files) {
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
    if (request.passed_file != nullptr) {
      source.files[request.passed_index].passed = request.passed_file;
    }
    ASSIGN_OR_RETURN(auto digests, catalog_.FindDigests(source.component.id));
    if (digests) source.known_digests = std::move(digests->chunks);
    sources.push_back(std::move(source));
  }
  return sources;
}

void ModelUse::OnLate(const Shared& operation) {
  const SharedAttempt attempt = operation->attempt;
  // Past the look it reads, or asks the catalog.
  if (operation->finished || !operation->preparing || attempt->looked) return;
  if (!std::exchange(attempt->late, true)) ++late_[attempt->disk()];
  // Content that has to be compared with its files first is not served without them.
  if (!attempt->admitted || attempt->verify || operation->request.passed_file != nullptr) return;
  if (attempt->missing.empty()) return ServeUnchecked(operation, {});
  pool_.Submit([this, shared = operation, attempt](std::stop_token) mutable {
    const auto manifest = library_.KnownManifestOf(*attempt->summary);
    auto sources = manifest.ok() ? SourcesOf(shared->request, *attempt, *manifest, attempt->missing)
                                 : StatusOr<std::vector<ComponentSource>>(manifest.status());
    auto views =
        manifest.ok() && shared->request.whole_files ? ViewsIn(*manifest) : std::vector<FileView>();
    loop_.Post([this, shared = std::move(shared), attempt, sources = std::move(sources),
                views = std::move(views)]() mutable {
      const bool waits = !shared->finished && shared->attempt == attempt && shared->preparing;
      if (!waits || !sources.ok()) return;
      for (const ComponentSource& source : *sources) {
        if (!cache_.Has(source.component.id)) return;  // it has to be read: the disk must answer
      }
      shared->result.views = std::move(views);
      ServeUnchecked(shared, *std::move(sources));
    });
  });
}

void ModelUse::ServeUnchecked(const Shared& operation, std::vector<ComponentSource> sources) {
  operation->preparing = false;
  ++operation->steps;
  operation->result.warnings.push_back(fmt::format(
      "{} does not answer: its disk or server hangs; what is in RAM is served as it was, without a "
      "look at the file",
      operation->attempt->summary->path()));
  Ensure(operation, std::move(sources));
}

}  // namespace warmset
