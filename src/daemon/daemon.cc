#include "daemon/daemon.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/cache_settings.h"
#include "daemon/model_errors.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "os/cgroup.h"
#include "os/limits.h"
#include "os/memory_file.h"
#include "os/sandbox.h"
#include "os/signal_fd.h"
#include "os/system_memory.h"
#include "spdlog/spdlog.h"
#include "wire/message_codec.h"
#include "wire/socket_path.h"

namespace warmset {
namespace {

constexpr std::chrono::seconds kExpiryInterval{1};
constexpr std::chrono::hours kKeepUnknown{24 * 30};
constexpr unsigned kLooksAtOnce = 4;  // at the files of one disk, beside loads
// For threads that wait for a disk at the end; the kernel has usually given up by then.
constexpr std::chrono::seconds kEndPatience{2};
// While clients of an earlier daemon still map its entries.
constexpr std::chrono::seconds kOrphanInterval{2};

void NoteFewDescriptors(Notices& notices) {
  constexpr uint64_t kFew = 256;  // an entry takes two, a client one
  const auto limit = os::GetLimit(os::Resource::kOpenFiles);
  if (!limit.ok() || limit->soft >= kFew) return;
  notices.Set("descriptors",
              fmt::format("this daemon may have only {} files open, so few clients and models at a "
                          "time: raise its limit (ulimit -n, LimitNOFILE=) and restart it",
                          limit->soft));
}

std::string DescribeUncleanEnd(EarlierEnd end, const DesiredState::Earlier& earlier) {
  const std::string_view held = "the daemon before this one was killed or crashed";
  if (end == EarlierEnd::kUncleanAgain) {
    return fmt::format(
        "{}, the second time within {} minutes: nothing is read back of the {} that "
        "it held; `warmset cache` brings a model back",
        held, kUncleanWindow.count(), FormatSize(earlier.held));
  }
  return fmt::format(
      "{}: of the {} that it held {} are read back, most recently used first; "
      "`warmset cache` brings back the rest",
      held, FormatSize(earlier.held), FormatSize(earlier.coming_back));
}

// What is configured; else no more than an eighth of the memory, so that a small machine or
// container is not left to others as a whole.
ByteCount ResolveKeepFree(const Options& options) {
  constexpr uint64_t kLeastShare = 8;
  const auto available = os::AvailableMemory();
  if (options.sources.contains("memory.keep_free") || !available.ok()) return options.keep_free;
  const ByteCount whole = std::min(*available, os::CgroupHeadroom());
  return std::min(options.keep_free, ByteCount(whole.value() / kLeastShare));
}

std::string PathsFolder(const std::string& socket) {
  return std::filesystem::path(socket).replace_extension().string() + "-paths";
}

}  // namespace

StatusOr<std::unique_ptr<Daemon>> Daemon::Start(Options options) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options)));
  RETURN_IF_ERROR(daemon->Open());
  return daemon;
}

Status Daemon::Open() {
  ASSIGN_OR_RETURN(const ByteCount limit, ResolveRamLimit(options_));
  RETURN_IF_ERROR(CheckForStart(options_, limit));
  std::vector<int> ending = {SIGINT, SIGTERM};
  if (!os::IsIgnored(SIGHUP)) ending.push_back(SIGHUP);
  ASSIGN_OR_RETURN(signals_, os::MakeSignalFd(ending));
  ASSIGN_OR_RETURN(lease_signals_, os::MakeSignalFd(std::array{SIGIO}));
  ASSIGN_OR_RETURN(home_, OpenHome(options_.home));
  catalog_ = home_.catalog.get();
  if (const std::string notice = catalog_->TakeNotice(); !notice.empty()) {
    notices_.Set("catalog", notice);
  }
  RETURN_IF_ERROR(wire::PrepareSocketFolder(options_.socket));
  NoteFewDescriptors(notices_);
  const uint64_t term = catalog_->NextDaemonTerm();
  ASSIGN_OR_RETURN(loop_, os::EventLoop::Create());
  RETURN_IF_ERROR(loop_->Watch(signals_.get(), EPOLLIN, [this](uint32_t) {
    os::TakeSignal(signals_.get());
    ShutDown();
  }));
  RETURN_IF_ERROR(loop_->Watch(lease_signals_.get(), EPOLLIN, [this](uint32_t) {
    while (os::TakeSignal(lease_signals_.get()) != 0) {
    }
    WithdrawBreached();
  }));
  RETURN_IF_ERROR(OpenServices(limit, term));
  spdlog::info("RAM limit {}, {} models known, listening on {}", FormatSize(limit),
               registry_.size(), options_.socket);
  BeginWork();
  return OkStatus();
}

Status Daemon::OpenServices(ByteCount limit, uint64_t term) {
  const std::string tag = DigestOf<ModelId>(AsBytes(options_.home)).Hex().substr(0, 12);
  os::SetEntryMemoryTag(tag);
  std::vector<PathFolder::KnownFile> known;
  ASSIGN_OR_RETURN(const auto open_paths, catalog_->OpenPaths());
  for (const OpenPathRow& row : open_paths) {
    for (const OpenPathRow::File& file : row.files) {
      known.push_back({file.component, file.device, file.inode, file.size});
    }
  }
  ASSIGN_OR_RETURN(PathFolder folder,
                   PathFolder::Create({.tmpfs = options_.path_dir,
                                       .required = options_.sources.contains("path_dir"),
                                       .name = tag,
                                       .instead = PathsFolder(options_.socket),
                                       .users = options_.allowed_uids},
                                      known));
  path_folder_ = std::make_unique<PathFolder>(std::move(folder));
  budget_ = std::make_unique<Budget>(limit);
  // Before anything is loaded: what an earlier daemon's clients keep counts.
  budget_->SetOrphaned(os::ForeignEntryMemory());
  reserve_ = std::make_unique<MemoryReserve>(*budget_, options_.reserve);
  pool_ = std::make_unique<ThreadPool>(options_.load_threads + 2);
  disks_ = std::make_unique<DiskThreads>(options_.load_threads + kLooksAtOnce);
  leases_ = std::make_unique<LeaseTable>([this](const Lease& lease) {
    CountOrphansSoon();
    const Model* model = registry_.Find(lease.model);
    if (model != nullptr && model->ad_hoc) passed_files_->SweepSoon();
  });
  ASSIGN_OR_RETURN(auto eviction, MakeEvictionPolicy(options_.eviction, limit.value()));
  ASSIGN_OR_RETURN(const auto component_usage, catalog_->ComponentUsage());
  cache_ = std::make_unique<ComponentCache>(
      *loop_, *budget_, *reserve_, *catalog_, *disks_, std::move(eviction),
      ComponentCosts(component_usage), options_.load_threads,
      ComponentCache::Events{
          .changed =
              [this](const ComponentId& id) {
                desired_->CacheChanged(id);
                if (cache_->Find(id) == nullptr) CountOrphansSoon();
                if (!cache_->Has(id)) passed_files_->SweepSoon();
              },
          .before_load =
              [this] {
                if (pressure_ != nullptr) pressure_->Look();
              },
          .describe = [this](const ComponentId& id) { return Describe(id); },
          .strategy_of =
              [this](const ComponentId& id) {
                return StrategyOf(registry_.UsersOf(id), options_.strategy);
              },
          .retention_of =
              [this](const ComponentId& id) {
                return RetentionOf(registry_.UsersOf(id), UnixMilliseconds());
              },
          .nameable_memory =
              [this](const ComponentId& id, uint64_t bytes, const std::stop_token& stop) {
                return path_folder_->MakeMemory(id, bytes, stop);
              },
          .yield_memory =
              [this](const Entry* entry) {
                if (claim_checks_ != nullptr) claim_checks_->YieldMemory(entry);
              },
      });
  inspectors_ = std::make_unique<InspectorPool>(InspectorPoolOptions{
      .program = options_.inspect_program, .on_end = [](const std::string& how, uint64_t ends) {
        spdlog::warn("a reader of models: {}; {} have ended since the start", how, ends);
      }});
  if (const auto landlock = os::ProbeLandlock(); !landlock.ok()) {
    spdlog::warn("models are read behind seccomp alone: {}", Message(landlock.status()));
  }
  library_ = std::make_unique<LibraryService>(
      *loop_, *catalog_, *inspectors_, registry_, options_,
      LibraryService::Events{
          .dropped = [this](const auto& models,
                            const auto& components) { OnDropped(models, components); },
          .found = [this] { desired_->BringBack(); },
          .notice = [this](const std::string& subject,
                           const std::string& text) { notices_.Put(subject, text); }});
  RETURN_IF_ERROR(library_->Restore());
  ASSIGN_OR_RETURN(const auto usage, catalog_->ModelUsage());
  for (const auto& [id, use] : usage) {
    if (Model* model = registry_.Find(id)) model->last_used_unix_ms = use.last_used_unix_ms;
  }
  claim_checks_ = std::make_unique<ClaimChecks>(
      *loop_, *library_, *cache_,
      ClaimChecks::Events{.checked = [this](const ManifestFile& file,
                                            bool matches) { OnClaimChecked(file, matches); },
                          .released =
                              [this](const ComponentId& id) {
                                loop_->Post([this, id] { cache_->Reconsider(id); });
                              }});
  uses_ = std::make_unique<ModelUse>(*loop_, *pool_, *disks_, registry_, *library_, *cache_,
                                     *catalog_, options_.patience);
  uses_->SetUsed([this](const ModelSummary& model) { claim_checks_->Check(model); });
  library_->SetSighted([this](const ModelSummary& model) { claim_checks_->CheckTouched(model); });
  RETURN_IF_ERROR(OpenPreloader());
  passed_files_ = std::make_unique<PassedFiles>(
      *loop_, *pool_, *disks_, registry_, *library_, *catalog_, *inspectors_,
      PassedFiles::Events{
          .dropped = [this](const auto& models,
                            const auto& components) { OnDropped(models, components); },
          .forgotten = [this](const auto& components) { ForgetComponents(components); },
          .is_in_use = [this](const Model& model) { return IsInUse(model); },
          .is_resident = [this](const ComponentId& id) { return cache_->HasOrExpects(id); }});
  paths_ = std::make_unique<PathService>(*loop_, *disks_, registry_, *cache_, *uses_, *path_folder_,
                                         *catalog_);
  uses_->SetViews([this](const ComponentId& component) { return paths_->ViewOf(component); });
  desired_ = std::make_unique<DesiredState>(*catalog_, registry_, *cache_, *uses_);
  ASSIGN_OR_RETURN(const auto wanted, RestoreDesired());
  devices_ = std::make_unique<DeviceService>(
      *loop_, options_, limit, term,
      DeviceService::Events{
          .fetch = [this](const ComponentId& component, bool compressed_serves,
                          const auto& done) { FetchForDevice(component, compressed_serves, done); },
          .damaged =
              [this](const ComponentId& component, const ComponentCache::AnyForm& form) {
                cache_->DropDamaged(component, form.compressed);
              },
          .lost =
              [this](const DeviceId& device, const ComponentId& component, const Status& why) {
                spdlog::warn("{}: a component is no longer there: {}", device.value(),
                             Message(why));
                for (Model* model : registry_.UsersOf(component)) NoteOutcome(*model, why);
              },
          .wanted_changed = [this](const auto& now) { desired_->WantedChanged(now); },
      });
  devices_->Restore(wanted);
  view_ =
      std::make_unique<StateView>(registry_, *cache_, *leases_, *devices_, *paths_,
                                  library_->claims(), *uses_, notices_, options_.strategy, limit);
  dispatcher_ = std::make_unique<RequestDispatcher>(
      Services{*loop_, *pool_, options_, registry_, *library_, *cache_, *devices_, *leases_, *uses_,
               *passed_files_, *paths_, *preloader_, *view_},
      [this] { ShutDown(); });
  ASSIGN_OR_RETURN(server_, wire::Server::Start({.socket_path = options_.socket,
                                                 .allowed_uids = options_.allowed_uids},
                                                loop_.get(), dispatcher_.get()));
  dispatcher_->SetServer(server_.get());
  return OkStatus();
}

// What was used last, and would have to be loaded again.
void Daemon::NoteUsualLoads(std::vector<UseHistoryRow> used) {
  const size_t count = std::min(used.size(), MemoryReserve::kUsualLoads);
  std::partial_sort(used.begin(), used.begin() + static_cast<ptrdiff_t>(count), used.end(),
                    [](const UseHistoryRow& a, const UseHistoryRow& b) {
                      return a.last_request > b.last_request;
                    });
  for (size_t i = 0; i < count; ++i) reserve_->NoteLoad(ByteCount(used[i].bytes));
}

Status Daemon::OpenPreloader() {
  preloader_ =
      std::make_unique<Preloader>(*loop_, registry_, *cache_, *uses_,
                                  Preloader::Options{.companions = options_.preload_companions,
                                                     .popular = options_.preload_popular,
                                                     .schedule = options_.preload_schedule});
  uses_->SetDemanded([this](const ModelUse::Request& request) { preloader_->Demanded(request); });
  ASSIGN_OR_RETURN(HistoryRows history, catalog_->History());
  for (const UseHistoryRow& row : history.components) {
    const double load_seconds = cache_->costs().LoadSeconds(row.component, row.bytes);
    cache_->Recall(
        {.object = {.id = row.component, .bytes = row.bytes, .load_seconds = load_seconds},
         .history = {.requests = row.requests,
                     .last_request = row.last_request,
                     .rates = row.rates,
                     .interval = row.interval},
         .unwanted = row.unwanted});
  }
  NoteUsualLoads(history.components);
  for (CompanionRow& row : history.companions) {
    preloader_->companions().Recall(
        {std::move(row.user), row.model, row.uses, std::move(row.together)});
  }
  for (size_t bin = 0; bin < std::min(history.calibration.size(), UsePredictor::kBins); ++bin) {
    cache_->predictor().Recall(bin,
                               {history.calibration[bin].predicted, history.calibration[bin].used});
  }
  recorder_ = std::make_unique<UseRecorder>(*loop_, *catalog_, *uses_, *cache_, *preloader_,
                                            notices_, [this] { desired_->WriteAll(); });
  return OkStatus();
}

StatusOr<std::vector<DeviceService::Wanted>> Daemon::RestoreDesired() {
  EarlierEnd end = EarlierEnd::kClean;
  if (const auto noted = catalog_->BeginLife(UnixMilliseconds()); noted.ok()) end = *noted;
  ASSIGN_OR_RETURN(DesiredState::Earlier earlier, desired_->Read(end));
  if (end == EarlierEnd::kUncleanAgain) {
    // Nor is a path opened again.
    for (const OpenPathRow& row : catalog_->OpenPaths().value_or(std::vector<OpenPathRow>())) {
      (void)catalog_->SetOpenPath({row.model, {}});
    }
  }
  if (end != EarlierEnd::kClean && earlier.held > ByteCount()) {
    notices_.Set("unclean end", DescribeUncleanEnd(end, earlier));
  }
  return std::move(earlier.placements);
}

void Daemon::BeginWork() {
  if (const ByteCount keep_free = ResolveKeepFree(options_); keep_free > ByteCount()) {
    pressure_ = std::make_unique<MemoryPressure>(*loop_, *budget_, *cache_, keep_free);
  }
  library_->Scan({}, [this](const StatusOr<ScanReport>& report) {
    if (!report.ok()) spdlog::warn("the first scan failed: {}", Message(report.status()));
    if (registry_.size() == 0) {
      spdlog::warn(
          "no models were found{}: name a folder that has some, with `warmset serve --root "
          "DIR` or now with `warmset scan DIR`",
          options_.roots.empty() ? "; no root is configured and there is no Hugging Face cache"
                                 : fmt::format(" below {}", fmt::join(options_.roots, ", ")));
    }
    paths_->Restore([this] {
      desired_->BringBack();
      preloader_->Start();
      PruneCatalog();
    });
  });
  recorder_->Start();
  loop_->RunAfter(kExpiryInterval, [this] { DropExpired(); });
  if (budget_->Use().orphaned > ByteCount()) CountOrphansSoon();
}

Daemon::~Daemon() {
  // Sessions end first, then whatever may still call back, then its state.
  server_.reset();
  devices_.reset();
  pool_.reset();
  if (claim_checks_ != nullptr) claim_checks_->Stop();
  disks_.reset();
  library_.reset();
  pressure_.reset();
  if (cache_ != nullptr) cache_->StopLoads();
  paths_.reset();
  leases_.reset();
  loop_.reset();  // with what was posted and holds entries
  cache_.reset();
}

void Daemon::Run() {
  loop_->Run();
  (void)catalog_->EndLife();  // else the next start brings back less
}

bool Daemon::Close() {
  server_.reset();
  devices_.reset();
  if (claim_checks_ != nullptr) claim_checks_->Stop();
  const auto deadline = std::chrono::steady_clock::now() + kEndPatience;
  bool ended = cache_->StopBy(deadline);
  ended &= pool_->StopBy(deadline);
  ended &= disks_->StopBy(deadline);
  ended &= library_->StopBy(deadline);
  if (ended) return true;
  spdlog::warn("threads are left behind that wait for a disk or server that does not answer");
  paths_->CloseAll();
  cache_->DropAll();
  home_.lock.Reset();
  return false;
}

void Daemon::OnDropped(const std::vector<ModelId>& models,
                       const std::vector<ComponentId>& components) {
  for (const ModelId& model : models) {
    paths_->Close(model);
    std::set<ComponentId> components_now;
    if (const Model* now = registry_.Find(model)) {
      for (const ComponentSummary& component : now->summary.components) {
        components_now.insert(component.id);
      }
    }
    devices_->KeepOnly(model, components_now);
    desired_->ModelChanged(model);
  }
  for (const ComponentId& component : components) {
    for (const auto& placed : std::vector(devices_->PlacementsOf(component))) {
      devices_->Release(placed.device, component, [](const StatusOr<ByteCount>&) {});
    }
    cache_->Drop(component);
    cache_->Forget(component);
  }
}

bool Daemon::IsInUse(const Model& model) {
  const ModelId& id = model.summary.id;
  if (!leases_->HoldersOf(id).empty() || uses_->IsBusy(id) || paths_->Find(id) != nullptr) {
    return true;
  }
  const auto& components = model.summary.components;
  return std::any_of(components.begin(), components.end(), [&](const auto& component) {
    return !devices_->PlacementsOf(component.id).empty();
  });
}

void Daemon::ForgetComponents(const std::vector<ComponentId>& components) {
  pool_->Submit([this, components](std::stop_token) {
    if (const Status forgotten = catalog_->ForgetComponents(components); !forgotten.ok()) {
      spdlog::warn("what was known of files that are gone stays in the catalog: {}",
                   Message(forgotten));
    }
  });
}

// What no model has had for long: a drive may be away for a while.
void Daemon::PruneCatalog() {
  Catalog::Known known;
  for (const auto& [name, model] : registry_.all()) {
    for (const ComponentSummary& component : model->summary.components) {
      known.components.insert(component.id);
    }
    for (const ManifestFile& file : model->summary.files) {
      known.files.emplace(file.identity.device, file.identity.inode);
    }
  }
  pool_->Submit([this, known = std::move(known)](std::stop_token) {
    const Status pruned = catalog_->Prune(
        known, UnixMilliseconds() -
                   std::chrono::duration_cast<std::chrono::milliseconds>(kKeepUnknown).count());
    if (!pruned.ok()) spdlog::warn("the catalog is not pruned: {}", Message(pruned));
  });
}

Daemon::Affected Daemon::ModelsWith(const ManifestFile& file) const {
  Affected affected;
  for (const auto& [name, model] : registry_.all()) {
    const ModelSummary& summary = model->summary;
    for (uint32_t i = 0; i < summary.files.size(); ++i) {
      if (!os::SameButForCtime(summary.files[i].identity, file.identity) ||
          summary.files[i].claimed_hash != file.claimed_hash) {
        continue;
      }
      affected.models.insert(summary.id);
      for (const ComponentSummary& component : summary.components) {
        const auto& files = component.files;
        if (std::find(files.begin(), files.end(), i) != files.end()) {
          affected.components.insert(component.id);
        }
      }
    }
  }
  return affected;
}

void Daemon::OnClaimChecked(const ManifestFile& file, bool matches) {
  const auto [models, components] = ModelsWith(file);
  for (const ModelId& id : models) {
    Model* model = registry_.Find(id);
    if (matches) {
      // It was no match before it was touched.
      if (model->summary.verdict == Verdict::kCorrupt)
        library_->Reinspect(id, [](const Status&) {});
      continue;
    }
    model->last_error = library_->claims().RefusalOf(model->summary);
    model->summary.verdict = std::max(model->summary.verdict, Verdict::kCorrupt);
    spdlog::warn("{}: {}", model->summary.name, Message(model->last_error));
  }
  if (matches) return;
  EndLeases(models, components);
  OnDropped({models.begin(), models.end()}, {components.begin(), components.end()});
  // What an intact file is compared with must not be this content.
  ForgetComponents({components.begin(), components.end()});
  for (const ModelId& id : models) library_->Reinspect(id, [](const Status&) {});
}

void Daemon::EndLeases(const std::set<ModelId>& models, const std::set<ComponentId>& components) {
  for (const auto& [session, ended] : leases_->EndLeasesOn(models, components)) {
    for (const LeaseTable::Ended& of_model : ended) {
      const Model* model = registry_.Find(of_model.model);
      v1::Response event;
      v1::LeasesEnded* message = event.mutable_leases_ended();
      message->set_model(model->summary.name);
      for (const LeaseId lease : of_model.leases) message->add_leases(lease);
      *message->mutable_why() = wire::ToProto(model->last_error);
      server_->Notify(session, std::move(event));
    }
  }
}

std::string Daemon::Describe(const ComponentId& component) const {
  std::vector<std::string> names;
  for (const Model* model : registry_.UsersOf(component)) {
    for (const ComponentSummary& candidate : model->summary.components) {
      if (candidate.id != component) continue;
      names.push_back(model->summary.components.size() == 1
                          ? model->summary.name
                          : fmt::format("{}/{}", model->summary.name, candidate.name));
    }
  }
  if (const Model* model = paths_->OwnerOf(component)) {
    names.push_back(model->summary.name + ", held for `warmset path`");
  }
  std::string text =
      names.empty() ? component.Hex().substr(0, 12) : fmt::format("{}", fmt::join(names, " = "));
  const std::string holders = view_->DescribeHolders(leases_->HoldersOf(component, std::nullopt));
  if (!holders.empty()) text += fmt::format(", held by {}", holders);
  return text;
}

void Daemon::FetchForDevice(const ComponentId& component, bool compressed_serves,
                            const DeviceService::FormDone& done) {
  const auto users = registry_.UsersOf(component);
  if (users.empty()) {
    return done(Error(ErrorCode::kModelNotFound, "no model has the component any more"));
  }
  const ModelSummary& summary = users.front()->summary;
  // It was admitted when it was placed.
  ModelUse::Request request{
      .model = summary.id, .admission = Admission::kForced, .compressed_serves = compressed_serves};
  for (const ComponentSummary& candidate : summary.components) {
    if (candidate.id == component) request.components.push_back(candidate.name);
  }
  uses_->Use(std::move(request), [this, model = summary.id, component,
                                  done](StatusOr<ModelUse::Result> used) {
    if (!used.ok()) return done(used.status());
    const ModelUse::Component& first = used->components.front();
    const Model* now = registry_.Find(model);
    if (now == nullptr || now->summary.components[first.index].id != component) {
      return done(Error(ErrorCode::kFileChanged, "the component's file has other content now"));
    }
    done(ComponentCache::AnyForm{first.held, first.compressed});
  });
}

// The kernel holds such a program back until the lease yields: until then no byte of
// the file has changed.
void Daemon::WithdrawBreached() {
  if (paths_ == nullptr) return;
  for (const ComponentId& component : cache_->Breached()) {
    const Status why = Error(ErrorCode::kFileChanged,
                             "a program opens its file in RAM for writing: it is withdrawn and "
                             "filled again, and what is mapped of it may change; attach it again");
    spdlog::warn("{}: {}", Describe(component), Message(why));
    std::set<ComponentId> components;
    for (const ComponentId& id : cache_->SharedBy(component)) {
      components.insert(id);
      components.merge(paths_->ViewsOf(id));
    }
    std::set<ModelId> models;
    for (const ComponentId& id : components) {
      for (Model* model : registry_.UsersOf(id)) {
        model->last_error = why;
        models.insert(model->summary.id);
      }
    }
    EndLeases(models, components);
    paths_->Withdraw(component);
  }
}

// A client may have kept a mapping without a lease, by a fork for example.
void Daemon::CountOrphansSoon() {
  if (orphan_timer_ != 0) return;
  orphan_timer_ = loop_->RunAfter(kOrphanInterval, [this] { CountOrphans(); });
}

// Reading every process's maps takes milliseconds: not on the loop.
void Daemon::CountOrphans() {
  pool_->Submit([this](std::stop_token) {
    const ByteCount now = os::ForeignEntryMemory();
    loop_->Post([this, now] {
      orphan_timer_ = 0;
      const bool less = now < budget_->Use().orphaned;
      budget_->SetOrphaned(now);
      if (less) desired_->BringBack();
      if (now > ByteCount()) CountOrphansSoon();
    });
  });
}

// Models whose time is over leave RAM, unless somebody uses them or their content.
void Daemon::DropExpired() {
  const int64_t now = UnixMilliseconds();
  for (const Model* model : registry_.WithSettings()) {
    if (!IsKeptNoLonger(*model, now) || !leases_->HoldersOf(model->summary.id).empty()) continue;
    if (paths_->Find(model->summary.id) != nullptr) {
      spdlog::info("{}: its time by path is over", model->summary.name);
      paths_->Close(model->summary.id);
    }
    for (const ComponentSummary& component : model->summary.components) {
      const auto users = registry_.UsersOf(component.id);
      const bool placed = !devices_->PlacementsOf(component.id).empty();
      const bool wanted = std::any_of(users.begin(), users.end(), [&](const Model* user) {
        return !IsKeptNoLonger(*user, now);
      });
      if (!placed && !wanted && cache_->Has(component.id) && !cache_->IsBusy(component.id)) {
        spdlog::info("{}: its time in RAM is over", model->summary.name);
        cache_->Drop(component.id);
      }
    }
  }
  loop_->RunAfter(kExpiryInterval, [this] { DropExpired(); });
}

void Daemon::ShutDown() {
  if (std::exchange(shutting_down_, true)) return;
  spdlog::info("shutting down");
  recorder_->Flush();
  paths_->LeavePinned();
  server_->Drain([this] { devices_->Shutdown([this] { loop_->Stop(); }); });
}

}  // namespace warmset
