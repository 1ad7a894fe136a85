#include "daemon/state_view.h"

#include <algorithm>

#include "base/units.h"
#include "daemon/cache_settings.h"
#include "daemon/manifest_view.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "os/process.h"

namespace warmset {
namespace {

struct CachedParts {
  size_t cached = 0;
  size_t loading = 0;
  uint64_t bytes = 0;
  uint64_t raw_bytes = 0;
  uint64_t compressed_bytes = 0;
};

v1::CacheState CacheStateOf(const CachedParts& parts, size_t components, bool failed) {
  if (parts.loading > 0) return v1::CACHING;
  if (components > 0 && parts.cached == components) return v1::CACHED;
  if (parts.cached > 0 || parts.bytes > 0) return v1::PARTLY_CACHED;
  return failed ? v1::CACHE_ERROR : v1::UNCACHED;
}

using Shares = google::protobuf::Map<std::string, v1::CompressedShare>;

// What belongs to no tensor is left out.
void AddShares(const CompressedEntry& compressed, Shares& shares) {
  for (const auto& [dtype, share] : compressed.shares()) {
    if (dtype == DType::kInvalid) continue;
    v1::CompressedShare& message = shares[std::string(DTypeName(dtype))];
    message.set_raw_bytes(message.raw_bytes() + share.raw_bytes);
    message.set_compressed_bytes(message.compressed_bytes() + share.compressed_bytes);
  }
}

// REQUIRES: the message has the file's path.
void AddRamPath(const OpenedPath& opened, v1::ModelFile& message) {
  for (const OpenedPath::Part& part : opened.parts) {
    if (part.name != message.path()) continue;
    message.set_ram_path(opened.folder + "/" + part.name);
    message.set_guarded(part.guarded);
  }
}

// Of the components that a use without a choice takes.
void AddTotals(const ModelSummary& summary, v1::ModelDetail& detail) {
  std::map<std::string, uint64_t> dtype_bytes;
  uint64_t parameters = 0;
  for (int i = 0; i < detail.components_size(); ++i) {
    if (IsVariant(summary, summary.components[static_cast<size_t>(i)])) continue;
    const v1::ComponentState& component = detail.components(i);
    parameters += component.parameters();
    for (const auto& [dtype, bytes] : component.dtype_bytes()) dtype_bytes[dtype] += bytes;
  }
  detail.set_parameters(parameters);
  detail.set_quantisation(QuantisationOf(dtype_bytes));
}

}  // namespace

void StateView::SessionOpened(const wire::SessionInfo& session) {
  constexpr size_t kMaxClient = 64;
  const std::string& client = session.hello.client();
  peers_[session.id] = {session.peer, client,
                        fmt::format("{}/{}", session.peer.uid, client.substr(0, kMaxClient))};
}

void StateView::SessionEnded(SessionId session) { peers_.erase(session); }

std::string StateView::UserOf(SessionId session) const {
  const auto peer = peers_.find(session);
  return peer == peers_.end() ? std::string() : peer->second.user;
}

v1::ModelState StateView::StateOf(const Model& model) const {
  const ModelSummary& summary = model.summary;
  v1::ModelState state;
  state.set_name(summary.name);
  state.set_id(summary.id.Hex());
  state.set_bytes(summary.total_bytes());
  state.set_format(summary.format);
  state.set_layout(std::string(ModelLayoutName(summary.layout)));
  state.set_kind(summary.model_kind);
  state.set_architecture(summary.architecture);
  state.set_verdict(std::string(VerdictName(summary.verdict)));
  state.set_version(summary.version.str());
  state.set_revision(summary.commit.empty() ? summary.revision.Hex() : summary.commit.str());
  const ClaimResult claim = claims_.OfFiles(summary.files);
  state.set_claim(std::string(ClaimStateName(claim.state)));
  state.set_claim_checked_unix_ms(claim.checked_unix_ms);
  if (!model.override_by_user->empty()) {
    state.mutable_override()->set_kind(model.override_by_user->kind);
    state.mutable_override()->set_architecture(model.override_by_user->architecture);
  }

  CachedParts parts;
  size_t needed = 0;  // for a cached model
  std::map<DeviceId, uint64_t> on_device;
  for (const ComponentSummary& component : summary.components) {
    const bool variant = IsVariant(summary, component);
    needed += variant ? 0 : 1;
    const Entry* const raw = cache_.Find(component.id);
    const auto compressed = cache_.Compressed(component.id);
    if (raw != nullptr) parts.raw_bytes += raw->bytes();
    if (compressed != nullptr) parts.compressed_bytes += compressed->bytes();
    if (raw != nullptr || compressed != nullptr) {
      parts.cached += variant ? 0 : 1;
      parts.bytes += raw != nullptr ? raw->bytes() : compressed->raw_bytes();
    } else if (paths_.ViewOf(component.id)) {  // whose bytes are the path's
      parts.cached += variant ? 0 : 1;
    } else if (cache_.ProgressOf(component.id)) {
      ++parts.loading;
    }
    for (const DeviceService::Placed& placed : devices_.PlacementsOf(component.id)) {
      if (placed.placement.ready) on_device[placed.device] += placed.placement.bytes.value();
    }
  }
  const uint64_t path_bytes = paths_.OwnBytes(summary.id);
  state.set_path_bytes(path_bytes);
  parts.raw_bytes += path_bytes;
  parts.bytes = std::max(parts.bytes, path_bytes);  // the same tensors
  state.set_cache_state(CacheStateOf(parts, needed, !model.last_error.ok()));
  state.set_cached_bytes(parts.bytes);
  state.set_raw_bytes(parts.raw_bytes);
  state.set_compressed_bytes(parts.compressed_bytes);
  state.set_strategy(std::string(CacheStrategyName(StrategyOf(model, default_strategy_))));
  if (*model.cache_settings != CacheSettings()) {
    *state.mutable_settings() = SettingsMessage(*model.cache_settings);
  }
  for (const auto& [device, bytes] : on_device) {
    v1::PlacedOn* placed = state.add_devices();
    placed->set_device(device.value());
    placed->set_bytes(bytes);
  }
  state.set_leases(CountLeases(leases_.HoldersOf(summary.id)));
  state.set_last_used_unix_ms(model.last_used_unix_ms);
  if (!model.last_error.ok()) {
    state.set_error_code(std::string(ErrorCodeName(CodeOf(model.last_error))));
  }
  return state;
}

void StateView::AddComponentState(const Model& model, size_t index,
                                  v1::ComponentState& state) const {
  const ComponentSummary& component = model.summary.components[index];
  state.set_name(component.name);
  state.set_type(component.type);
  state.set_id(component.id.Hex());
  state.set_bytes(component.entry_bytes);
  state.set_tensors(component.tensor_count);
  std::vector<ManifestFile> files;
  for (const uint32_t file : component.files) {
    if (file < model.summary.files.size()) files.push_back(model.summary.files[file]);
  }
  state.set_claim(std::string(ClaimStateName(claims_.OfFiles(files).state)));
  const Entry* const raw = cache_.Find(component.id);
  const auto compressed = cache_.Compressed(component.id);
  if (raw != nullptr) {
    state.set_raw_bytes(raw->bytes());
    state.set_huge_page_bytes(raw->huge_page_bytes());
    state.set_protection(raw->guarded() ? "guarded" : "sealed");
  }
  if (compressed != nullptr) {
    state.set_compressed_bytes(compressed->bytes());
    AddShares(*compressed, *state.mutable_compressed_dtypes());
  }
  if (raw != nullptr || compressed != nullptr) {
    const auto load_time = raw != nullptr ? raw->load_time() : compressed->load_time();
    state.set_cache_state(v1::CACHED);
    state.set_last_load_seconds(std::chrono::duration<double>(load_time).count());
  } else if (const auto view = paths_.ViewOf(component.id)) {
    const auto load_time = view->file->entry().load_time();
    state.set_cache_state(v1::CACHED);
    state.set_raw_bytes(BytesIn(view->ranges));
    state.set_protection(view->file->entry().guarded() ? "guarded" : "sealed");
    state.set_last_load_seconds(std::chrono::duration<double>(load_time).count());
  } else {
    state.set_cache_state(cache_.ProgressOf(component.id) ? v1::CACHING : v1::UNCACHED);
  }
  state.set_leases(CountLeases(leases_.HoldersOf(component.id, std::nullopt)));
  for (const std::string& other : SharersOf(model, component.id)) state.add_shared_with(other);
  for (const DeviceService::Placed& placed : devices_.PlacementsOf(component.id)) {
    v1::PlacedOn* on = state.add_devices();
    on->set_device(placed.device.value());
    on->set_bytes(placed.placement.bytes.value());
  }
}

std::set<std::string> StateView::SharersOf(const Model& model, const ComponentId& component) const {
  std::vector<ComponentId> ids = cache_.SharedBy(component);
  ids.push_back(component);
  std::set<std::string> names;
  for (const ComponentId& id : ids) {
    for (const Model* user : registry_.UsersOf(id)) {
      if (user->summary.id != model.summary.id) names.insert(user->summary.name);
    }
  }
  return names;
}

v1::ModelDetail StateView::DetailOf(const Model& model, v1::ModelDetail detail) const {
  const ModelSummary& summary = model.summary;
  *detail.mutable_state() = StateOf(model);
  detail.set_path(summary.path());
  detail.set_root(summary.root);
  if (!model.override_by_user->kind.empty()) detail.set_identified_kind(model.identified->kind);
  const OpenedPath* const opened = paths_.Find(summary.id);
  if (opened != nullptr) detail.set_ram_path(opened->path);
  for (const ManifestFile& file : summary.files) {
    v1::ModelFile* message = detail.add_files();
    message->set_path(file.path);
    if (opened != nullptr) AddRamPath(*opened, *message);
    message->set_bytes(file.identity.size);
    message->set_claimed_hash(file.claimed_hash);
    const ClaimResult claim = claims_.Of(file);
    message->set_claim(std::string(ClaimStateName(claim.state)));
    message->set_claim_checked_unix_ms(claim.checked_unix_ms);
    message->set_found_hash(claim.found);
  }
  // A manifest of another revision has other components.
  const auto components = static_cast<int>(summary.components.size());
  if (detail.components_size() != components) detail.clear_components();
  for (int i = 0; i < components; ++i) {
    if (i >= detail.components_size()) detail.add_components();
    AddComponentState(model, static_cast<size_t>(i), *detail.mutable_components(i));
  }
  AddTotals(summary, detail);
  for (v1::Holder& holder : HoldersOf(leases_.HoldersOf(summary.id))) {
    *detail.add_holders() = std::move(holder);
  }
  if (!model.last_error.ok()) detail.set_error_message(std::string(Message(model.last_error)));
  return detail;
}

bool StateView::MayBeActive(const Model& model) const {
  const ModelSummary& summary = model.summary;
  if (!leases_.HoldersOf(summary.id).empty() || paths_.Find(summary.id) != nullptr) return true;
  return std::any_of(
      summary.components.begin(), summary.components.end(), [&](const ComponentSummary& component) {
        return cache_.HasOrExpects(component.id) || !devices_.PlacementsOf(component.id).empty();
      });
}

v1::ActiveList StateView::Active() const {
  v1::ActiveList list;
  for (const auto& [name, model] : registry_.all()) {
    if (!MayBeActive(*model)) continue;  // most of a million
    v1::ModelState state = StateOf(*model);
    const auto progress = ProgressOf(*model);
    if (state.cached_bytes() == 0 && state.devices().empty() && state.leases() == 0 && !progress) {
      continue;
    }
    v1::ActiveModel* active = list.add_models();
    *active->mutable_state() = std::move(state);
    for (v1::Holder& holder : HoldersOf(leases_.HoldersOf(model->summary.id))) {
      *active->add_holders() = std::move(holder);
    }
    std::set<std::string> sharers;
    for (const ComponentSummary& component : model->summary.components) {
      if (cache_.Has(component.id)) sharers.merge(SharersOf(*model, component.id));
    }
    for (const std::string& sharer : sharers) active->add_shared_with(sharer);
    if (progress) {
      active->mutable_progress()->set_stage("read");
      active->mutable_progress()->set_unit("bytes");
      active->mutable_progress()->set_done(progress->done);
      active->mutable_progress()->set_total(progress->total);
    }
  }
  *list.mutable_memory() = Memory();
  for (const std::string& notice : notices()) list.add_notices(notice);
  return list;
}

v1::MemoryUse StateView::Memory() const {
  const BudgetUse use = cache_.MemoryUse();
  v1::MemoryUse message;
  message.set_limit(use.limit.value());
  message.set_entries(use.entries.value());
  message.set_loading(use.loading.value());
  message.set_reserve(use.reserve.value());
  message.set_orphaned(use.orphaned.value());
  message.set_uncached_but_mapped(use.dropped.value());
  message.set_compressed(use.compressed.value());
  message.set_configured_limit(configured_limit_.value());
  return message;
}

v1::CacheUsage StateView::Usage() const {
  v1::CacheUsage message;
  *message.mutable_memory() = Memory();
  uint64_t logical = 0;
  uint64_t allocated = 0;
  for (const ComponentId& component : cache_.Components()) {
    const Entry* const raw = cache_.Find(component);
    const auto compressed = cache_.Compressed(component);
    logical += raw != nullptr ? raw->bytes() : compressed->raw_bytes();
    if (raw != nullptr) allocated += raw->bytes();
    if (compressed == nullptr) continue;
    allocated += compressed->bytes();
    AddShares(*compressed, *message.mutable_compressed_dtypes());
  }
  message.set_logical_bytes(logical);
  message.set_allocated_bytes(allocated);
  const UsageLog::Summary summary = cache_.usage().Summarize();
  message.set_raw_accesses(summary.accesses[0]);
  message.set_decoded_accesses(summary.accesses[1]);
  message.set_loaded_accesses(summary.accesses[2]);
  message.set_hit_rate(summary.hit_rate);
  message.set_access_p50_seconds(summary.p50_seconds);
  message.set_access_p99_seconds(summary.p99_seconds);
  message.set_time_saved(summary.time_saved);
  const double thrift =
      allocated > 0 ? std::min(1.0, static_cast<double>(logical) / static_cast<double>(allocated))
                    : 1;
  message.set_balanced_score(summary.time_saved * thrift);
  message.set_adaptive_variance(summary.deviation_over_sizes);
  const PreloadLog& preloads = cache_.preloads();
  for (size_t reason = 0; reason < kPreloadReasonNames.size(); ++reason) {
    const PreloadLog::Counts& counts = preloads.of(static_cast<PreloadReason>(reason));
    if (counts.issued == 0) continue;
    v1::PreloadCounts* const one = message.add_preloads();
    one->set_reason(std::string(kPreloadReasonNames[reason]));
    one->set_issued(counts.issued);
    one->set_loaded(counts.loaded);
    one->set_failed(counts.failed);
    one->set_used(counts.used);
    one->set_unused(counts.unused);
  }
  const PreloadLog::Shares shares = preloads.Summarize();
  message.set_preload_success(shares.success);
  message.set_preload_hit_rate(shares.hits);
  message.set_preload_coverage(shares.coverage);
  const auto& evictions = cache_.usage().evictions();
  for (auto eviction = evictions.rbegin(); eviction != evictions.rend(); ++eviction) {
    v1::CacheUsage::Eviction* const one = message.add_evictions();
    one->set_component(eviction->label);
    one->set_seconds_since_last_use(static_cast<uint64_t>(eviction->since_last_use.count()));
    one->set_reason(eviction->reason);
  }
  return message;
}

v1::Placement StateView::PlacementMessage(const DevicePlacement& placement) {
  v1::Placement message;
  message.set_component_id(placement.component.Hex());
  message.set_pool(std::string(MemoryPoolName(placement.pool)));
  message.set_bytes(placement.bytes.value());
  message.set_phase(placement.ready ? "ready" : "loading");
  message.set_loaded_bytes(placement.loaded.value());
  return message;
}

v1::Progress StateView::ProgressMessage(const ScanProgress& progress) {
  v1::Progress message;
  message.set_stage(progress.total > 0 ? "inspect" : "scan");
  message.set_unit("files");
  message.set_item(progress.item);
  message.set_done(progress.total > 0 ? progress.done : progress.files);
  message.set_total(progress.total);
  return message;
}

std::vector<v1::DeviceState> StateView::Devices() const {
  std::vector<v1::DeviceState> devices;
  for (const DeviceService::DeviceReport& report : devices_.Report()) {
    const DeviceLinkStatus& status = report.status;
    v1::DeviceState& device = devices.emplace_back();
    device.set_id(status.device.value());
    device.set_backend(status.device.value().substr(0, status.device.value().find(':')));
    device.set_name(status.device_name);
    device.set_memory_limit(status.memory_limit.value());
    device.set_memory_used(status.memory_used.value());
    device.set_shared_bytes(status.shared_bytes.value());
    device.set_worker_state(std::string(WorkerStateName(status.worker)));
    device.set_worker_pid(status.worker_pid);
    device.set_worker_restarts(status.worker_restarts);
    for (const DevicePlacement& placement : report.placements) {
      *device.add_placements() = PlacementMessage(placement);
    }
    v1::SyncStatus* sync = device.mutable_sync();
    sync->set_worker_epoch(status.sync.epoch);
    sync->set_daemon_term(status.daemon_term);
    sync->set_revision(status.sync.revision);
    sync->set_in_sync(status.sync.in_sync);
    sync->set_deltas(status.sync.deltas);
    sync->set_snapshots(status.sync.snapshots);
    sync->set_gaps(status.sync.gaps);
    sync->set_divergences(status.sync.divergences);
    if (status.sync.since_confirmed) {
      sync->set_seconds_since_heartbeat(
          std::chrono::duration<double>(*status.sync.since_confirmed).count());
    }
  }
  return devices;
}

ByteCount StateView::FreeMemoryOf(const DeviceId& id) const {
  if (devices_.DefaultPool(id) == MemoryPool::kShared) {
    // Entries are what it uses, and entries that nobody holds make room.
    const BudgetUse use = cache_.MemoryUse();
    const ByteCount kept = use.loading + use.orphaned + use.dropped;
    return kept < use.limit ? use.limit - kept : ByteCount(0);
  }
  for (const DeviceService::DeviceReport& report : devices_.Report()) {
    const DeviceLinkStatus& status = report.status;
    if (status.device == id && status.memory_used < status.memory_limit) {
      return status.memory_limit - status.memory_used;
    }
  }
  return ByteCount(0);
}

StatusOr<DeviceProfile> StateView::ProfileOf(const std::string& text) const {
  const auto known = devices_.Resolve(text);
  // "host:7" is a device that is not there, and no profile.
  const bool names_device = text.starts_with("host:") && text.find(',') == std::string::npos;
  if (!known.ok() && names_device) return known.status();
  ASSIGN_OR_RETURN(DeviceProfile profile, ParseDeviceProfile(text));
  if (known.ok()) {
    profile.memory = FreeMemoryOf(*known);
    profile.title = fmt::format("{}, {} free", known->value(), FormatSize(*profile.memory));
  }
  return profile;
}

std::vector<v1::Holder> StateView::HoldersOf(const LeaseTable::Holders& holders) const {
  std::vector<v1::Holder> messages;
  for (const auto& [session, leases] : holders) {
    const auto peer = peers_.find(session);
    if (peer == peers_.end()) continue;
    v1::Holder& holder = messages.emplace_back();
    holder.set_pid(peer->second.credentials.pid);
    holder.set_command(os::CommandOf(peer->second.credentials.pid));
    holder.set_leases(leases);
  }
  return messages;
}

std::string StateView::DescribeHolders(const LeaseTable::Holders& holders) const {
  std::vector<std::string> texts;
  for (const v1::Holder& holder : HoldersOf(holders)) {
    texts.push_back(fmt::format("pid {} ({})", holder.pid(), holder.command()));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::optional<LoadProgress> StateView::ProgressOf(const Model& model) const {
  if (const auto use = uses_.ProgressOf(model.summary.id)) return use;
  std::optional<LoadProgress> total;
  for (const ComponentSummary& component : model.summary.components) {
    if (const auto progress = cache_.ProgressOf(component.id)) {
      if (!total) total.emplace();
      total->done += progress->done;
      total->total += progress->total;
    }
  }
  return total;
}

}  // namespace warmset
