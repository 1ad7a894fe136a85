#include "daemon/claim_checks.h"

#include <algorithm>

#include "base/clock.h"
#include "cache/claim/content_hasher.h"
#include "inspect/inspect.h"
#include "os/process.h"
#include "spdlog/spdlog.h"

namespace warmset {

ClaimChecks::ClaimChecks(os::EventLoop& loop, LibraryService& library, ComponentCache& cache,
                         Events events)
    : loop_(loop),
      library_(library),
      cache_(cache),
      events_(std::move(events)),
      thread_(std::make_unique<ThreadPool>(1)) {
  thread_->Submit([](std::stop_token) { os::RunBehindOthers(); });
}

void ClaimChecks::Stop() {
  thread_.reset();
  queue_.clear();
  at_work_.reset();
  held_.clear();
}

void ClaimChecks::Check(const ModelSummary& model) {
  Enqueue(model, [](const ClaimResult& result) { return result.state == ClaimState::kUnchecked; });
}

void ClaimChecks::CheckTouched(const ModelSummary& model) {
  Enqueue(model, [](const ClaimResult& result) {
    return result.state == ClaimState::kMismatch && result.touched;
  });
}

void ClaimChecks::Enqueue(const ModelSummary& model,
                          const std::function<bool(const ClaimResult&)>& wanted) {
  std::vector<uint32_t> files;
  for (uint32_t i = 0; i < model.files.size(); ++i) {
    const ManifestFile& file = model.files[i];
    if (!wanted(library_.claims().Of(file)) || !IsCheckableClaim(file.claimed_hash) ||
        !pending_.emplace(file.identity.device, file.identity.inode).second) {
      continue;
    }
    files.push_back(i);
  }
  if (files.empty()) return;
  std::reverse(files.begin(), files.end());
  queue_.push_back(std::make_shared<Job>(Job{.summary = model,
                                             .files = std::move(files),
                                             .manifest = {},
                                             .source = {},
                                             .resident = nullptr}));
  if (at_work_ == nullptr) StartNext();
}

void ClaimChecks::StartNext() {
  at_work_.reset();
  if (queue_.empty()) return;
  at_work_ = std::move(queue_.front());
  queue_.pop_front();
  thread_->Submit([this, job = at_work_](std::stop_token) {
    auto manifest = library_.ManifestOf(job->summary);
    // Without it the whole file comes from the disk.
    if (manifest.ok()) job->manifest = *std::move(manifest);
    loop_.Post([this, job] { CheckNextFile(job); });
  });
}

void ClaimChecks::CheckNextFile(const SharedJob& job) {
  if (job->files.empty()) return StartNext();
  const uint32_t file = job->files.back();
  job->source = {job->summary.FilePath(file), job->summary.files[file].identity, nullptr};
  job->resident = std::make_shared<ResidentRuns>(HoldRuns(*job, file));
  thread_->Submit([this, job](std::stop_token stop) {
    auto found = Hash(*job, stop);
    loop_.Post([this, job, found = std::move(found)] { OnHashed(job, found); });
  });
}

std::vector<ResidentRun> ClaimChecks::HoldRuns(const Job& job, uint32_t file) {
  std::vector<ResidentRun> runs;
  const auto add = [&](const ComponentManifest& component) {
    if (std::none_of(component.runs.begin(), component.runs.end(),
                     [&](const FileRun& run) { return run.file == file; })) {
      return;
    }
    auto held = cache_.HoldForWork(component.id);
    if (held == nullptr) return;
    for (const FileRun& run : component.runs) {
      if (run.file != file) continue;
      runs.push_back({.file_offset = run.file_offset,
                      .bytes = run.bytes,
                      .entry_offset = run.entry_offset,
                      .data_fd = held->entry().data_fd()});
    }
    held_.push_back(std::move(held));
  };
  if (file >= job.manifest.files.size()) return runs;
  // `warmset path` has entries of whole files.
  if (const auto whole = WholeFileComponent(job.manifest, file); whole.ok()) add(*whole);
  if (runs.empty()) {
    for (const ComponentManifest& component : job.manifest.components) add(component);
  }
  return runs;
}

StatusOr<std::string> ClaimChecks::Hash(const Job& job, std::stop_token stop) {
  const ManifestFile& file = job.summary.files[job.files.back()];
  ASSIGN_OR_RETURN(std::string found, HashFile(file.claimed_hash, job.source, *job.resident, stop));
  const Status recorded = library_.claims().Record(file, found, UnixMilliseconds());
  if (!recorded.ok()) {
    spdlog::warn("{}: the check of its hash is not recorded: {}", job.source.path,
                 Message(recorded));
  }
  return found;
}

void ClaimChecks::OnHashed(const SharedJob& job, const StatusOr<std::string>& found) {
  YieldMemory(nullptr);
  const ManifestFile& file = job->summary.files[job->files.back()];
  job->files.pop_back();
  pending_.erase({file.identity.device, file.identity.inode});
  if (!found.ok()) {
    // A file that changed is another one, which its next use checks.
    const bool expected = CodeOf(found.status()) != ErrorCode::kIoError;
    spdlog::log(expected ? spdlog::level::debug : spdlog::level::warn,
                "{}: its hash is not checked: {}", job->source.path, Message(found.status()));
  } else {
    events_.checked(file, *found == file.claimed_hash);
  }
  CheckNextFile(job);
}

void ClaimChecks::YieldMemory(const Entry* entry) {
  const auto is_wanted = [&](const auto& held) {
    return entry == nullptr || &held->entry() == entry;
  };
  if (std::none_of(held_.begin(), held_.end(), is_wanted)) return;
  at_work_->resident->Withdraw();
  std::vector<ComponentId> components;
  for (const auto& held : held_) components.push_back(held->entry().component());
  held_.clear();
  for (const ComponentId& component : components) events_.released(component);
}

}  // namespace warmset
