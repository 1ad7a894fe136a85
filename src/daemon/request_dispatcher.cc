#include "daemon/request_dispatcher.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/nearest.h"
#include "daemon/cache_settings.h"
#include "daemon/manifest_view.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "os/process.h"
#include "os/system_memory.h"
#include "wire/message_codec.h"

namespace warmset {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{100};
// Clients give up on a daemon that is silent for long: while nothing is read
// yet, they are told that it works.
constexpr int kIntervalsBetweenSigns = 20;
constexpr int kMaxScanFindings = 100;

const int64_t kStartedUnixMs = UnixMilliseconds();

v1::ModelStateResult StateResult(ModelRegistry& registry, const StateView& view,
                                 const std::string& name) {
  v1::ModelStateResult result;
  const auto model = registry.Find(name);
  if (model.ok()) {
    *result.mutable_state() = view.StateOf(**model);
  } else {
    *result.mutable_error() = wire::ToProto(model.status());
  }
  return result;
}

v1::ScanReply ScanMessage(const ScanReport& report) {
  v1::ScanReply reply;
  reply.set_models(report.models);
  reply.set_added(report.added);
  reply.set_changed(report.changed.size());
  reply.set_removed(report.removed.size());
  reply.set_files(report.files);
  reply.set_headers_read(report.headers_read);
  reply.set_seconds(report.seconds);
  reply.set_findings_total(report.findings.size());
  for (const ScanFinding& finding : report.findings) {
    if (reply.findings_size() == kMaxScanFindings) break;
    v1::ScanFinding* message = reply.add_findings();
    message->set_path(finding.path);
    message->set_code(std::string(ErrorCodeName(finding.code)));
    message->set_message(finding.message);
    const Verdict verdict = VerdictOf(finding);
    if (verdict != Verdict::kOk) message->set_verdict(std::string(VerdictName(verdict)));
  }
  return reply;
}

// Tells in a list of models that there may be more.
template <typename Message>
void SetScan(const Services& services, Message& message) {
  const std::optional<ScanProgress>& progress = services.library.progress();
  if (!progress) return;
  v1::ScanStatus* const scan = message.mutable_scan();
  scan->set_first(!services.library.first_scan_done());
  scan->set_models(services.registry.size());
  scan->set_files(progress->files);
  scan->set_done(progress->done);
  scan->set_total(progress->total);
  scan->set_item(progress->item);
}

std::vector<std::string> ToVector(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return {names.begin(), names.end()};
}

}  // namespace

RequestDispatcher::RequestDispatcher(Services services, std::function<void()> shut_down)
    : services_(services),
      shut_down_(std::move(shut_down)),
      waiters_(services.loop, services.registry, services.library,
               NameWaiters::Events{
                   .is_waiting = [this](SessionId session,
                                        uint64_t request) { return Waiting({session, request}); },
                   .progress =
                       [this](SessionId session, v1::Response response) {
                         server_->Respond(session, std::move(response), {});
                       },
                   .go_on =
                       [this](SessionId session, const v1::Request& request,
                              std::vector<os::UniqueFd> fds) {
                         Begin(session, request, std::move(fds));
                       },
               }) {}

void RequestDispatcher::SessionOpened(const wire::SessionInfo& session) {
  services_.view.SessionOpened(session);
}

void RequestDispatcher::SessionEnded(SessionId session) {
  std::vector<ModelUse::UseId> uses;
  for (const Watched& watched : watched_) {
    if (watched.call.session == session && watched.use) uses.push_back(*watched.use);
  }
  for (const ModelUse::UseId use : uses) services_.uses.Cancel(use);
  services_.leases.EndSession(session);
  services_.view.SessionEnded(session);
}

void RequestDispatcher::Handle(SessionId session, const v1::Request& request,
                               std::vector<os::UniqueFd> fds) {
  if (waiters_.Take(session, request, fds)) return;
  Begin(session, request, std::move(fds));
}

void RequestDispatcher::Begin(SessionId session, const v1::Request& request,
                              std::vector<os::UniqueFd> fds) {
  const Call call{session, request.id()};
  if (request.call_case() != v1::Request::kRelease) Watch(call);
  Dispatch(session, request, std::move(fds));
  // Most are answered at once: they need not wait here for the next look.
  while (!watched_.empty() && !Waiting(watched_.back().call)) watched_.pop_back();
  if (!watched_.empty() && !std::exchange(looks_at_progress_, true)) {
    services_.loop.RunAfter(kProgressInterval, [this] { LookAtProgress(); });
  }
}

void RequestDispatcher::Dispatch(SessionId session, const v1::Request& request,
                                 std::vector<os::UniqueFd> fds) {
  const Call call{session, request.id()};
  switch (request.call_case()) {
    case v1::Request::kGetStatus:
      return GetStatus(call);
    case v1::Request::kListModels:
      return ListModels(call, request.list_models());
    case v1::Request::kGetModelState:
      return GetModelState(call, request.get_model_state());
    case v1::Request::kGetModelDetail:
      return GetModelDetail(call, request.get_model_detail());
    case v1::Request::kListActive:
      return ListActive(call);
    case v1::Request::kScan:
      return Scan(call, request.scan());
    case v1::Request::kCache:
      return Cache(call, request.cache(), std::move(fds));
    case v1::Request::kUncache:
      return Uncache(call, request.uncache());
    case v1::Request::kLoad:
      return Load(call, request.load());
    case v1::Request::kUnload:
      return Unload(call, request.unload());
    case v1::Request::kAttach:
      return Attach(call, request.attach(), std::move(fds));
    case v1::Request::kRelease:
      return Release(session, request.release());
    case v1::Request::kGetPath:
      return GetPath(call, request.get_path(), std::move(fds));
    case v1::Request::kGetWorkerState:
      return GetWorkerState(call, request.get_worker_state());
    case v1::Request::kGetConfig:
      return GetConfig(call);
    case v1::Request::kShutdown:
      return Shutdown(call);
    case v1::Request::kValidateCompatibility:
      return ValidateCompatibility(call, request.validate_compatibility(), std::move(fds));
    case v1::Request::kGetCacheUsage:
      return GetCacheUsage(call);
    case v1::Request::kPreloadModel:
      return PreloadModel(call, request.preload_model(), std::move(fds));
    case v1::Request::kPlan:
      return Plan(call, request.plan());
    case v1::Request::kConfigureModelCache:
      return ConfigureModelCache(call, request.configure_model_cache());
    case v1::Request::kSetOverride:
      return SetOverride(call, request.set_override());
    case v1::Request::kHello:  // the server answers it
    case v1::Request::CALL_NOT_SET:
      return Fail(call, Error(ErrorCode::kInvalidRequest, "this daemon does not know the request"));
  }
}

void RequestDispatcher::Answer(Call call, v1::Response response, std::vector<wire::SharedFd> fds) {
  response.set_id(call.id);
  server_->Respond(call.session, std::move(response), std::move(fds));
}

void RequestDispatcher::Watch(Call call) {
  watched_.push_back({.call = call, .due = std::chrono::steady_clock::now() + kProgressInterval});
}

void RequestDispatcher::Follow(Call call, ModelUse::UseId use) {
  for (Watched& watched : watched_) {
    if (watched.call.session == call.session && watched.call.id == call.id) watched.use = use;
  }
}

void RequestDispatcher::LookAtProgress() {
  std::erase_if(watched_, [this](const Watched& watched) { return !Waiting(watched.call); });
  const auto now = std::chrono::steady_clock::now();
  auto next = now + kProgressInterval;
  for (Watched& watched : watched_) {
    if (watched.due <= now) {
      TellProgress(watched);
      watched.due = now + kProgressInterval;
    }
    next = std::min(next, watched.due);
  }
  looks_at_progress_ = !watched_.empty();
  if (looks_at_progress_) services_.loop.RunAfter(next - now, [this] { LookAtProgress(); });
}

void RequestDispatcher::TellProgress(Watched& watched) {
  const auto progress = watched.use ? services_.uses.ProgressOf(*watched.use) : std::nullopt;
  if (!progress && watched.silent_looks < kIntervalsBetweenSigns) {
    ++watched.silent_looks;
    return;
  }
  v1::Response response;
  response.set_more(true);
  v1::Progress* message = response.mutable_progress();
  message->set_stage(progress ? "read" : "prepare");
  message->set_unit("bytes");
  if (watched.use) message->set_item(services_.uses.NameOf(*watched.use));
  if (progress) {
    message->set_done(progress->done);
    message->set_total(progress->total);
  }
  Answer(watched.call, std::move(response));
  watched.silent_looks = 0;
}

void RequestDispatcher::GetStatus(Call call) {
  v1::Response response;
  v1::DaemonStatus* status = response.mutable_status();
  status->set_version(WARMSET_VERSION);
  status->set_pid(::getpid());
  status->set_started_unix_ms(kStartedUnixMs);
  status->set_socket(services_.options.socket);
  for (const std::string& root : services_.library.roots()) status->add_roots(root);
  status->set_models(services_.registry.size());
  *status->mutable_memory() = services_.view.Memory();
  for (v1::DeviceState& device : services_.view.Devices()) {
    *status->add_devices() = std::move(device);
  }
  status->set_scanning(services_.library.scanning());
  for (const std::string& notice : services_.view.notices()) status->add_notices(notice);
  SetScan(services_, *status);
  status->set_resident_anonymous_bytes(os::ResidentAnonymousMemory().value());
  Answer(call, std::move(response));
}

void RequestDispatcher::ListModels(Call call, const v1::ListModels& request) {
  v1::Response response;
  v1::ModelList* list = response.mutable_models();
  const std::string filter = LowerCase(request.filter());
  for (const auto& [name, model] : services_.registry.all()) {
    if (LowerCase(name).find(filter) == std::string::npos) continue;
    *list->add_models() = services_.view.StateOf(*model);
  }
  SetScan(services_, *list);
  Answer(call, std::move(response));
}

void RequestDispatcher::GetModelState(Call call, const v1::GetModelState& request) {
  v1::Response response;
  v1::ModelStates* states = response.mutable_states();
  for (const std::string& name : request.names()) {
    *states->add_results() = StateResult(services_.registry, services_.view, name);
  }
  Answer(call, std::move(response));
}

void RequestDispatcher::ListActive(Call call) {
  v1::Response response;
  *response.mutable_active() = services_.view.Active();
  SetScan(services_, *response.mutable_active());
  Answer(call, std::move(response));
}

void RequestDispatcher::GetCacheUsage(Call call) {
  v1::Response response;
  *response.mutable_cache_usage() = services_.view.Usage();
  response.mutable_cache_usage()->set_preloads_waiting(services_.preloader.waiting());
  Answer(call, std::move(response));
}

void RequestDispatcher::Scan(Call call, const v1::Scan& request) {
  LibraryService::ScanRequest scan;
  for (const std::string& path : request.paths()) {
    if (!path.starts_with('/')) {
      return Fail(call, Error(ErrorCode::kInvalidRequest,
                              fmt::format("'{}' is not an absolute path", path)));
    }
    scan.paths.push_back(path);
  }
  if (request.depth() != v1::SCAN_DEPTH_UNSPECIFIED) scan.deep = request.depth() == v1::DEEP;
  scan.progress = [this, call](const ScanProgress& progress) {
    v1::Response response;
    response.set_more(true);
    *response.mutable_progress() = StateView::ProgressMessage(progress);
    Answer(call, std::move(response));
  };
  services_.library.Scan(std::move(scan), [this, call](const StatusOr<ScanReport>& report) {
    if (!report.ok()) return Fail(call, report.status());
    v1::Response response;
    *response.mutable_scan() = ScanMessage(*report);
    services_.passed_files.Sweep([this, call, response](size_t forgotten) mutable {
      response.mutable_scan()->set_removed(response.scan().removed() + forgotten);
      Answer(call, std::move(response));
    });
  });
}

StatusOr<std::vector<v1::SettingChange>> RequestDispatcher::ApplySettings(
    Model& model, const v1::CacheSettings& given) {
  ASSIGN_OR_RETURN(const CacheSettings settings, WithGiven(*model.cache_settings, given));
  std::vector<v1::SettingChange> changes = ChangesOf(*model.cache_settings, settings);
  if (changes.empty()) return changes;
  if (model.ad_hoc) {
    services_.registry.SetCacheSettings(model.summary.id, settings);  // forgotten with it
  } else {
    RETURN_IF_ERROR(services_.library.SetCacheSettings(model.summary.id, settings));
  }
  for (const ComponentSummary& component : model.summary.components) {
    services_.cache.Reconsider(component.id);
  }
  return changes;
}

void RequestDispatcher::ConfigureModelCache(Call call, const v1::ConfigureModelCache& request) {
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  const auto changed = ApplySettings(**model, request.settings());
  if (!changed.ok()) return Fail(call, changed.status());
  v1::Response response;
  for (const v1::SettingChange& change : *changed) {
    *response.mutable_configured()->add_changed() = change;
  }
  *response.mutable_configured()->mutable_state() = services_.view.StateOf(**model);
  Answer(call, std::move(response));
}

void RequestDispatcher::Uncache(Call call, const v1::Uncache& request) {
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  const ModelSummary& summary = (*model)->summary;
  std::vector<std::string> names = ToVector(request.components());
  if (names.empty()) names = AllComponents(summary);
  const auto selected = SelectComponents(**model, names);
  if (!selected.ok()) return Fail(call, selected.status());

  // All or nothing: what pins a component is named before any is dropped.
  for (const uint32_t index : *selected) {
    const ComponentSummary& component = summary.components[index];
    for (const auto& placed : services_.devices.PlacementsOf(component.id)) {
      if (placed.placement.pool != MemoryPool::kShared) continue;
      return Fail(call, Error(ErrorCode::kInUse,
                              fmt::format("{} is on {} in the shared pool, which uses its pages; "
                                          "`warmset unload {}` first",
                                          component.name, placed.device.value(), summary.name)));
    }
  }
  v1::Response response;
  v1::UncacheReply* reply = response.mutable_uncache();
  reply->set_model(summary.name);
  if (const uint64_t bytes = services_.paths.Close(summary.id); bytes > 0) {
    reply->set_freed_bytes(bytes);
    v1::Freed* const freed = reply->add_freed();
    freed->set_component("path");  // the files that `warmset path` gave
    freed->set_bytes(bytes);
  }
  for (const uint32_t index : *selected) {
    UncacheComponent(**model, index, *reply);
    services_.preloader.Unwanted(summary.id, summary.components[index].id);
  }
  Answer(call, std::move(response));
}

void RequestDispatcher::UncacheComponent(const Model& model, uint32_t index,
                                         v1::UncacheReply& reply) {
  const ComponentSummary& component = model.summary.components[index];
  const Entry* const raw = services_.cache.Find(component.id);
  auto compressed = services_.cache.Compressed(component.id);
  const uint64_t bytes =
      (raw != nullptr ? raw->bytes() : 0) + (compressed != nullptr ? compressed->bytes() : 0);
  compressed.reset();  // so that dropping it frees it
  if (!services_.cache.Has(component.id)) return;
  const std::string holders =
      services_.view.DescribeHolders(services_.leases.HoldersOf(component.id, std::nullopt));
  const auto keep = [&](std::string reason) {
    v1::Kept* kept = reply.add_kept();
    kept->set_component(component.name);
    kept->set_bytes(bytes);
    kept->set_reason(std::move(reason));
  };
  std::vector<std::string> others;
  for (const ModelId& user : services_.cache.RemoveUser(component.id, model.summary.id)) {
    if (const Model* other = services_.registry.Find(user)) others.push_back(other->summary.name);
  }
  if (!others.empty()) {
    return keep(
        fmt::format("stays in RAM for {}, which has the same content", fmt::join(others, ", ")));
  }
  switch (services_.cache.Drop(component.id)) {
    case EntryStore::Dropped::kFreed: {
      reply.set_freed_bytes(reply.freed_bytes() + bytes);
      v1::Freed* const freed = reply.add_freed();
      freed->set_component(component.name);
      freed->set_bytes(bytes);
      break;
    }
    case EntryStore::Dropped::kShared:
      keep("stays in RAM for another component with the same content");
      break;
    case EntryStore::Dropped::kHeld:
      keep(fmt::format("its memory is free when {} ends",
                       holders.empty() ? "its present use" : holders));
      break;
    case EntryStore::Dropped::kNotThere:
      break;
  }
}

void RequestDispatcher::GetWorkerState(Call call, const v1::GetWorkerState& request) {
  const auto device = services_.devices.Resolve(request.device());
  if (!device.ok()) return Fail(call, device.status());
  services_.devices.QueryWorker(
      *device, [this, call, id = *device](const StatusOr<WorkerReport>& report) {
        if (!report.ok()) return Fail(call, report.status());
        v1::Response response;
        v1::WorkerStateReply* reply = response.mutable_worker_state();
        reply->set_revision(report->revision);
        for (const auto& device_report : services_.devices.Report()) {
          if (device_report.status.device == id) reply->set_epoch(device_report.status.sync.epoch);
        }
        reply->set_equal_to_mirror(report->agrees);
        for (const DevicePlacement& placement : report->placements) {
          *reply->add_placements() = StateView::PlacementMessage(placement);
        }
        Answer(call, std::move(response));
      });
}

void RequestDispatcher::GetConfig(Call call) {
  v1::Response response;
  v1::ConfigReply* reply = response.mutable_config();
  reply->set_file(services_.options.config_file);
  for (const OptionValue& option : DescribeOptions(services_.options)) {
    v1::ConfigValue* value = reply->add_values();
    value->set_key(option.key);
    value->set_value(option.value);
    value->set_source(std::string(OptionSourceName(option.source)));
  }
  Answer(call, std::move(response));
}

void RequestDispatcher::Shutdown(Call call) {
  v1::Response response;
  response.mutable_shutdown();
  Answer(call, std::move(response));
  shut_down_();
}

void RequestDispatcher::Release(SessionId session, const v1::Release& request) {
  // Nobody waits for an answer; a lease that is not the session's own is ignored.
  for (const uint64_t lease : request.leases()) {
    (void)services_.leases.Release(session, lease);
  }
}

}  // namespace warmset
