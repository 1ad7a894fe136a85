// What each request does: the way from a message through the services and back.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "daemon/component_cache.h"
#include "daemon/device_service.h"
#include "daemon/lease_table.h"
#include "daemon/library_service.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"
#include "daemon/name_waiters.h"
#include "daemon/options.h"
#include "daemon/passed_files.h"
#include "daemon/path_service.h"
#include "daemon/preloader.h"
#include "daemon/state_view.h"
#include "os/event_loop.h"
#include "wire/server.h"

namespace warmset {

// Everything a request may touch; all of it outlives the dispatcher.
struct Services {
  os::EventLoop& loop;
  ThreadPool& pool;
  const Options& options;
  ModelRegistry& registry;
  LibraryService& library;
  ComponentCache& cache;
  DeviceService& devices;
  LeaseTable& leases;
  ModelUse& uses;
  PassedFiles& passed_files;
  PathService& paths;
  Preloader& preloader;
  StateView& view;
};

// Loop thread only.
class RequestDispatcher : public wire::RequestHandler {
 public:
  RequestDispatcher(Services services, std::function<void()> shut_down);

  // REQUIRES: called once, before the first request.
  void SetServer(wire::Server* server) { server_ = server; }

  void SessionOpened(const wire::SessionInfo& session) override;
  void Handle(SessionId session, const v1::Request& request,
              std::vector<os::UniqueFd> fds) override;
  void SessionEnded(SessionId session) override;

 private:
  // One request that is being answered.
  struct Call {
    SessionId session;
    uint64_t id = 0;
  };

  // Each answers the call, now or later, exactly once.
  void GetStatus(Call call);
  void ListModels(Call call, const v1::ListModels& request);
  void GetModelState(Call call, const v1::GetModelState& request);
  void GetModelDetail(Call call, const v1::GetModelDetail& request);
  void ListActive(Call call);
  void Scan(Call call, const v1::Scan& request);
  // What a request is about: a model, or a file that came with it.
  struct Subject {
    ModelId model;
    std::shared_ptr<const os::UniqueFd> file{};
    uint32_t index = 0;                     // of the file, among the model's
    std::vector<std::string> components{};  // that have bytes of the file
  };
  // Calls then, now or later, or answers the call with an error.
  template <typename Request>
  void WithSubject(Call call, const Request& request, std::vector<os::UniqueFd> fds,
                   std::function<void(Subject)> then);
  void Cache(Call call, const v1::Cache& request, std::vector<os::UniqueFd> fds);
  void GetCacheUsage(Call call);
  void PreloadModel(Call call, const v1::PreloadModel& request, std::vector<os::UniqueFd> fds);
  struct PlanCall;
  void Plan(Call call, const v1::Plan& request);
  void AnswerPlan(const PlanCall& plan, const Manifest& manifest);
  void AddDevicePlan(const PlanCall& plan, const Manifest& manifest, v1::PlanReply& reply);
  // The pool of that name, the device's default for an empty one.
  StatusOr<MemoryPool> PoolFrom(const std::string& name, const DeviceId& device) const;
  void ConfigureModelCache(Call call, const v1::ConfigureModelCache& request);
  // Sets what is given, and converts what is in RAM accordingly; says what changed.
  StatusOr<std::vector<v1::SettingChange>> ApplySettings(Model& model,
                                                         const v1::CacheSettings& given);
  void Uncache(Call call, const v1::Uncache& request);
  void UncacheComponent(const Model& model, uint32_t index, v1::UncacheReply& reply);
  void Load(Call call, const v1::Load& request);
  void Unload(Call call, const v1::Unload& request);
  void Attach(Call call, const v1::Attach& request, std::vector<os::UniqueFd> fds);
  void GetPath(Call call, const v1::GetPath& request, std::vector<os::UniqueFd> fds);
  void GetWorkerState(Call call, const v1::GetWorkerState& request);
  void GetConfig(Call call);
  void Shutdown(Call call);
  void ValidateCompatibility(Call call, const v1::ValidateCompatibility& request,
                             std::vector<os::UniqueFd> fds);
  void SetOverride(Call call, const v1::SetOverride& request);
  void Release(SessionId session, const v1::Release& request);

  // A request that is not answered yet.
  struct Watched {
    Call call;
    std::optional<ModelUse::UseId> use{};         // of a model, that it waits for
    std::chrono::steady_clock::time_point due{};  // the next look at it
    int silent_looks = 0;                         // since it came, or the client was last told
  };

  struct CompatibilityCall;
  void AnswerCompatibility(const CompatibilityCall& check, const std::vector<Finding>& findings);
  struct LoadCall;
  void StartLoad(const std::shared_ptr<LoadCall>& load);
  void PlaceNext(const std::shared_ptr<LoadCall>& load);
  void ReleasePlaced(LoadCall& load);
  void GiveUpLoad(const std::shared_ptr<LoadCall>& load, const Status& why);
  struct UnloadCall;
  void ReleaseNext(const std::shared_ptr<UnloadCall>& unload);
  Status HeldOnDevice(const DeviceId& device, const ComponentSummary& component) const;
  std::string WhyKeptOn(const DeviceId& device, const ComponentId& component) const;
  struct AttachCall;
  void AttachPassedFile(Call call, std::shared_ptr<const os::UniqueFd> file,
                        const v1::Attach& request, bool again = false);
  void FindFileRuns(const std::shared_ptr<AttachCall>& attach, uint32_t file);
  void AttachEntries(const std::shared_ptr<AttachCall>& attach);
  void AttachPlacements(const std::shared_ptr<AttachCall>& attach);
  static StatusOr<wire::SharedFd> IndexOf(const AttachCall& attach,
                                          const ModelUse::Component& component);
  void SendEntry(const AttachCall& attach, const ModelUse::Component& component,
                 wire::SharedFd index, size_t left);

  // Handle() without the signs of life.
  void Dispatch(SessionId session, const v1::Request& request, std::vector<os::UniqueFd> fds);
  // Has the client told that the daemon works until the call is answered.
  void Watch(Call call);
  // The call waits for the use: its progress is told, and it ends with the session.
  void Follow(Call call, ModelUse::UseId use);
  void LookAtProgress();
  void TellProgress(Watched& watched);
  // What a check of the model's files has found since it was as the summary says.
  Status RefutedSince(const ModelSummary& summary) const {
    return summary.verdict == Verdict::kOk ? services_.library.claims().RefusalOf(summary)
                                           : OkStatus();
  }
  bool Waiting(Call call) const { return server_->InFlight(call.session, call.id); }
  void Answer(Call call, v1::Response response, std::vector<wire::SharedFd> fds = {});
  void Fail(Call call, const Status& error) { server_->RespondError(call.session, call.id, error); }

  void Begin(SessionId session, const v1::Request& request, std::vector<os::UniqueFd> fds);

  Services services_;
  const std::function<void()> shut_down_;
  wire::Server* server_ = nullptr;
  NameWaiters waiters_;
  std::vector<Watched> watched_;    // some are answered already
  bool looks_at_progress_ = false;  // a timer runs
};

}  // namespace warmset
