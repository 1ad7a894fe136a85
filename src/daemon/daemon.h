// warmsetd: all services, put together.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "base/disk_threads.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "cache/budget.h"
#include "cache/reserve.h"
#include "catalog/catalog.h"
#include "daemon/claim_checks.h"
#include "daemon/component_cache.h"
#include "daemon/desired_state.h"
#include "daemon/device_service.h"
#include "daemon/home.h"
#include "daemon/lease_table.h"
#include "daemon/library_service.h"
#include "daemon/memory_pressure.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"
#include "daemon/notices.h"
#include "daemon/options.h"
#include "daemon/passed_files.h"
#include "daemon/path_service.h"
#include "daemon/preloader.h"
#include "daemon/request_dispatcher.h"
#include "daemon/state_view.h"
#include "daemon/use_recorder.h"
#include "isolate/inspector_pool.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "wire/server.h"

namespace warmset {

// One daemon on one socket and one home. Everything runs on the thread that
// calls Run(). The process's SIGINT, SIGTERM and, unless the process ignores it (as
// below nohup), SIGHUP end it.
class Daemon {
 public:
  // Opens the catalog, starts the workers and listens; clients may connect when
  // it returns. kAlreadyRunning when another daemon has the socket or the home.
  static StatusOr<std::unique_ptr<Daemon>> Start(Options options);
  ~Daemon();

  // Returns after a shutdown request or a signal, when every worker has ended.
  void Run();
  // After Run(): ends the sessions and asks every thread to end. False when some wait for a
  // disk that does not answer. Then what can be given back without them is (the socket, the
  // home's lock, entries that no client holds), and the process should end at once: the
  // destructor would wait for the disk.
  bool Close();

 private:
  explicit Daemon(Options options) : options_(std::move(options)) {}
  Status Open();
  Status OpenServices(ByteCount limit, uint64_t term);
  Status OpenPreloader();
  void NoteUsualLoads(std::vector<UseHistoryRow> used);
  void BeginWork();

  void OnDropped(const std::vector<ModelId>& models, const std::vector<ComponentId>& components);
  // Where the file's content is not what its name claims, what was read from it is
  // withdrawn.
  void OnClaimChecked(const ManifestFile& file, bool matches);
  // The models that have the file in that state, and its components.
  struct Affected {
    std::set<ModelId> models;
    std::set<ComponentId> components;
  };
  Affected ModelsWith(const ManifestFile& file) const;
  void EndLeases(const std::set<ModelId>& models, const std::set<ComponentId>& components);
  bool IsInUse(const Model& model);
  // No file ever has their bytes again.
  void ForgetComponents(const std::vector<ComponentId>& components);
  void PruneCatalog();
  std::string Describe(const ComponentId& component) const;
  void FetchForDevice(const ComponentId& component, bool compressed_serves,
                      const DeviceService::FormDone& done);
  void WithdrawBreached();
  void CountOrphansSoon();
  void CountOrphans();
  void DropExpired();
  void ShutDown();

  // What the daemon before left in RAM and on devices, as far as it comes back.
  StatusOr<std::vector<DeviceService::Wanted>> RestoreDesired();

  const Options options_;
  Home home_;
  Catalog* catalog_ = nullptr;  // of home_
  Notices notices_;
  os::UniqueFd signals_;
  os::UniqueFd lease_signals_;  // a program opens a file of path_folder_ for writing
  std::unique_ptr<os::EventLoop> loop_;
  std::unique_ptr<Budget> budget_;
  std::unique_ptr<MemoryReserve> reserve_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<DiskThreads> disks_;
  ModelRegistry registry_;
  std::unique_ptr<LeaseTable> leases_;
  std::unique_ptr<ComponentCache> cache_;
  std::unique_ptr<MemoryPressure> pressure_;
  std::unique_ptr<InspectorPool> inspectors_;
  std::unique_ptr<LibraryService> library_;
  std::unique_ptr<ClaimChecks> claim_checks_;
  std::unique_ptr<ModelUse> uses_;
  std::unique_ptr<PassedFiles> passed_files_;
  std::unique_ptr<PathFolder> path_folder_;
  std::unique_ptr<PathService> paths_;
  std::unique_ptr<Preloader> preloader_;
  std::unique_ptr<UseRecorder> recorder_;
  std::unique_ptr<DesiredState> desired_;
  std::unique_ptr<DeviceService> devices_;
  std::unique_ptr<StateView> view_;
  std::unique_ptr<RequestDispatcher> dispatcher_;
  std::unique_ptr<wire::Server> server_;
  os::EventLoop::TimerId orphan_timer_ = 0;
  bool shutting_down_ = false;
};

}  // namespace warmset
