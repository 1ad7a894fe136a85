#include "daemon/device_link.h"

#include <tuple>
#include <utility>

#include "fmt/format.h"
#include "os/memory_file.h"
#include "wire/worker_messages.h"

namespace warmset {
namespace {

// Times that a worker may end while it fills a component again, until the
// component counts as the reason.
constexpr int kMaxRefills = 3;
constexpr size_t kFetchesAtOnce = 2;

DevicePlacement ToPlacement(const wire::PlacementRecord& record) {
  return {record.component, record.pool, record.ready, ByteCount(record.bytes),
          ByteCount(record.loaded_bytes)};
}

std::vector<DevicePlacement> PlacementsIn(const sync::State& state) {
  std::vector<DevicePlacement> placements;
  for (const auto& [key, value] : state) {
    const auto record = wire::ParsePlacementRecord(value);
    if (record.ok()) placements.push_back(ToPlacement(*record));
  }
  return placements;
}

}  // namespace

DeviceLink::DeviceLink(os::EventLoop& loop, Options options, Events events)
    : loop_(loop),
      options_(std::move(options)),
      events_(std::move(events)),
      worker_(loop, options_,
              {.changed = [this] { Changed(); },
               .ready = [this] { OnReady(); },
               .in_sync = [this] { Reconcile(); },
               .down = [this](const Status& why) { OnDown(why); }}) {}

template <typename Function, typename... Args>
void DeviceLink::Defer(const Function& function, Args... args) {
  if (!function) return;
  // A task is copied and an exported placement can't be.
  auto values = std::make_shared<std::tuple<Args...>>(std::move(args)...);
  loop_.Post([alive = std::weak_ptr(alive_), function, values] {
    if (!alive.expired()) std::apply(function, std::move(*values));
  });
}

void DeviceLink::Changed() {
  for (const auto& [component, placing] : placing_) {
    const auto there = Find(component);
    if (!there) continue;
    for (const Progress& progress : placing.progress) Defer(progress, there->loaded, there->bytes);
  }
  if (std::exchange(changed_posted_, true)) return;
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    changed_posted_ = false;
    if (events_.changed) events_.changed();
  });
}

// --- placing ---

void DeviceLink::Place(const ComponentId& component, MemoryPool pool, PlacementSource source,
                       Progress progress, std::function<void(Status)> done) {
  const Status status = Enqueue(component, pool, std::move(source), std::move(progress), done);
  if (!status.ok()) Defer(done, status);
}

// On success done will be called, else it is as if nothing was asked.
Status DeviceLink::Enqueue(const ComponentId& component, MemoryPool pool, PlacementSource source,
                           Progress progress, std::function<void(Status)> done) {
  RETURN_IF_ERROR(worker_.CheckNotDown());
  if (releasing_.contains(component)) {
    return Error(ErrorCode::kInUse,
                 fmt::format("the component is being released from {}; try again", name()));
  }
  const auto in_other_pool = [this](MemoryPool other) {
    return Error(ErrorCode::kInUse,
                 fmt::format("the component is in the {} pool of {}; unload it first",
                             MemoryPoolName(other), name()));
  };
  if (const auto found = placing_.find(component); found != placing_.end()) {
    if (found->second.pool != pool) return in_other_pool(found->second.pool);
    found->second.progress.push_back(std::move(progress));
    found->second.done.push_back(std::move(done));
    return OkStatus();
  }
  const bool ready = worker_.state() == WorkerState::kReady;
  if (const auto there = Find(component); ready && there) {
    if (there->pool != pool) return in_other_pool(there->pool);
    wanted_[component].pool = pool;
    Defer(done, OkStatus());
    return OkStatus();
  }
  Placing& placing = placing_[component];
  placing.pool = pool;
  placing.bytes = source.bytes;
  placing.compressed = source.segments.valid();
  placing.form = std::move(source.form);
  placing.fds.push_back(wire::Share(std::move(source.index)));
  placing.fds.push_back(wire::Share(std::move(source.data)));
  if (placing.compressed) placing.fds.push_back(wire::Share(std::move(source.segments)));
  placing.progress.push_back(std::move(progress));
  placing.done.push_back(std::move(done));
  if (ready) StartPlacing(component);
  return OkStatus();
}

void DeviceLink::StartPlacing(const ComponentId& component) {
  Placing& placing = placing_.at(component);
  placing.sent = true;
  worker_.Begin(sync::PlaceAction{component.Hex(), component.Hex(),
                                  std::string(MemoryPoolName(placing.pool)), placing.bytes},
                std::move(placing.fds), /*ends_with_stall=*/false,
                [this, component](const StatusOr<sync::Done>& end, const auto&) {
                  OnPlaced(component, end.status());
                });
}

void DeviceLink::OnPlaced(ComponentId component, const Status& result) {
  const Placing placing = std::move(placing_.extract(component).mapped());
  Status status = result;
  if (status.ok() && placing.released) {
    status = Error(ErrorCode::kCancelled, "released while it was loading");
  }
  const bool damaged = placing.compressed && CodeOf(status) == ErrorCode::kCorruptedModel;
  if (damaged) Defer(events_.damaged, component, placing.form);
  const auto wanted = wanted_.find(component);
  if (status.ok()) {
    wanted_[component] = {.pool = placing.pool};
  } else if (wanted != wanted_.end()) {
    // It was being filled again.
    const bool may_succeed = damaged || CodeOf(status) == ErrorCode::kDeviceUnavailable;
    if (!may_succeed || ++wanted->second.failed_refills >= kMaxRefills) Lose(component, status);
  }
  worker_.Poke();  // others may wait for their turn
  for (const auto& done : placing.done) Defer(done, status);
}

// --- releasing ---

void DeviceLink::Release(const ComponentId& component, Callback<ByteCount> done) {
  const bool was_wanted = wanted_.erase(component) > 0;
  const auto answer = [&](StatusOr<ByteCount> freed) { Defer(done, std::move(freed)); };
  if (const auto found = releasing_.find(component); found != releasing_.end()) {
    found->second.push_back(std::move(done));
    return;
  }
  const auto placing = placing_.find(component);
  const bool loading = placing != placing_.end();
  if (loading && !placing->second.sent) {
    OnPlaced(component, Error(ErrorCode::kCancelled, "released before it was loaded"));
    return answer(ByteCount());
  }
  if (loading) placing->second.released = true;
  if (!loading && !Find(component)) {
    if (was_wanted) return answer(ByteCount());
    return answer(Error(ErrorCode::kNotLoaded, fmt::format("the component is not on {}", name())));
  }
  // A worker that is not there holds nothing, whatever its last word was.
  if (!worker_.running()) return answer(ByteCount());
  if (const Status status = worker_.CheckReady(); !status.ok()) {
    return answer(Annotate(status, "the component will be released when it can be"));
  }
  StartReleasing(component, std::move(done));
}

void DeviceLink::StartReleasing(const ComponentId& component, Callback<ByteCount> done) {
  releasing_[component].push_back(std::move(done));
  worker_.Begin(sync::ReleaseAction{component.Hex()}, {}, /*ends_with_stall=*/false,
                [this, component](const StatusOr<sync::Done>& end, const auto&) {
                  OnReleased(component, end);
                });
}

void DeviceLink::OnReleased(const ComponentId& component, const StatusOr<sync::Done>& end) {
  StatusOr<ByteCount> freed = ByteCount();
  if (end.ok()) {
    freed = ByteCount(end->freed_bytes);
  } else if (CodeOf(end.status()) != ErrorCode::kNotLoaded && worker_.running()) {
    freed = end.status();  // else its memory went with the worker, or a failed load
  }
  const auto callbacks = std::move(releasing_.extract(component).mapped());
  for (const auto& done : callbacks) Defer(done, freed);
}

// --- asking ---

void DeviceLink::Export(const ComponentId& component, Callback<ExportedPlacement> done) {
  Status status = worker_.CheckReady();
  const auto there = Find(component);
  if (status.ok() && (!there || !there->ready || releasing_.contains(component))) {
    status = Error(ErrorCode::kNotLoaded, fmt::format("the component is not loaded on {}", name()));
  }
  if (!status.ok()) return Defer(done, StatusOr<ExportedPlacement>(status));
  worker_.Begin(
      sync::ExportAction{component.Hex()}, {}, /*ends_with_stall=*/true,
      [this, done = std::move(done)](StatusOr<sync::Done> end, std::vector<os::UniqueFd> fds) {
        OnExported(std::move(end), std::move(fds), done);
      });
}

void DeviceLink::OnExported(StatusOr<sync::Done> end, std::vector<os::UniqueFd> fds,
                            const Callback<ExportedPlacement>& done) {
  if (end.ok() && fds.size() != end->chunk_bytes.size() + 1) {
    end = Error(ErrorCode::kInternal, "a worker exported chunks without their descriptors");
  }
  if (!end.ok()) return Defer(done, StatusOr<ExportedPlacement>(end.status()));
  ExportedPlacement exported;
  exported.index = std::move(fds[0]);
  for (size_t i = 0; i < end->chunk_bytes.size(); ++i) {
    exported.chunks.push_back({std::move(fds[i + 1]), ByteCount(end->chunk_bytes[i])});
  }
  Defer(done, StatusOr<ExportedPlacement>(std::move(exported)));
}

void DeviceLink::QueryWorker(Callback<WorkerReport> done) {
  if (const Status status = worker_.CheckReady(); !status.ok()) {
    return Defer(done, StatusOr<WorkerReport>(status));
  }
  worker_.Query(
      [this, done = std::move(done)](const StatusOr<sync::Snapshot>& snapshot, bool agrees) {
        if (!snapshot.ok()) return Defer(done, StatusOr<WorkerReport>(snapshot.status()));
        Defer(done, StatusOr<WorkerReport>(
                        WorkerReport{agrees, snapshot->revision, PlacementsIn(snapshot->state)}));
      });
}

std::vector<DevicePlacement> DeviceLink::placements() const {
  return PlacementsIn(worker_.mirror().state());
}

std::optional<DevicePlacement> DeviceLink::Find(const ComponentId& component) const {
  const sync::State& state = worker_.mirror().state();
  const auto found = state.find(component.Hex());
  if (found == state.end()) return std::nullopt;
  const auto record = wire::ParsePlacementRecord(found->second);
  if (!record.ok()) return std::nullopt;
  return ToPlacement(*record);
}

DeviceLinkStatus DeviceLink::status() const {
  DeviceLinkStatus status;
  status.device = options_.device;
  status.device_name = worker_.hello().device_name;
  status.memory_limit = options_.memory;
  status.memory_used = ByteCount(worker_.heartbeat().memory_used);
  status.shared_bytes = ByteCount(worker_.heartbeat().shared_bytes);
  status.worker = worker_.state();
  status.worker_pid = worker_.pid();
  status.worker_restarts = worker_.restarts();
  status.last_failure = worker_.last_failure();
  status.daemon_term = options_.daemon_term;
  status.sync = worker_.mirror().status(std::chrono::steady_clock::now());
  return status;
}

// --- what should be there ---

void DeviceLink::Want(const ComponentId& component, MemoryPool pool) {
  wanted_.try_emplace(component, Wanted{.pool = pool});
  worker_.Poke();
}

void DeviceLink::OnReady() {
  for (const auto& [component, placing] : placing_) {
    if (!placing.sent) StartPlacing(component);
  }
}

void DeviceLink::OnDown(const Status& why) {
  while (!placing_.empty()) OnPlaced(placing_.begin()->first, why);  // those not sent
}

void DeviceLink::Reconcile() {
  // Each is in RAM meanwhile, and together they may be more than that holds.
  size_t under_way = placing_.size();
  for (const auto& [component, wanted] : wanted_) under_way += wanted.fetching ? 1 : 0;
  for (auto& [component, wanted] : wanted_) {
    if (under_way >= kFetchesAtOnce) break;
    if (wanted.fetching || placing_.contains(component) || releasing_.contains(component) ||
        Find(component)) {
      continue;
    }
    wanted.fetching = true;
    ++under_way;
    Fetch(component);
  }
  // What a command brought there after its time had run out, for example.
  for (const DevicePlacement& there : placements()) {
    const ComponentId& component = there.component;
    if (!wanted_.contains(component) && !placing_.contains(component) &&
        !releasing_.contains(component)) {
      StartReleasing(component, nullptr);
    }
  }
}

void DeviceLink::Fetch(const ComponentId& component) {
  Defer(
      events_.fetch, component,
      FetchDone([this, alive = std::weak_ptr(alive_), component](StatusOr<PlacementSource> source) {
        if (!alive.expired()) OnFetched(component, std::move(source));
      }));
}

void DeviceLink::OnFetched(const ComponentId& component, StatusOr<PlacementSource> source) {
  const auto wanted = wanted_.find(component);
  if (wanted == wanted_.end()) return;  // released meanwhile
  wanted->second.fetching = false;
  if (!source.ok()) return Lose(component, source.status());
  // What can't be done now is derived again.
  if (!worker_.CheckReady().ok() || releasing_.contains(component)) return;
  const Status status =
      Enqueue(component, wanted->second.pool, *std::move(source), nullptr, nullptr);
  if (!status.ok()) Lose(component, status);
}

void DeviceLink::Lose(const ComponentId& component, const Status& why) {
  wanted_.erase(component);
  worker_.Poke();
  Defer(events_.lost, component, why);
}

void DeviceLink::Shutdown(std::function<void()> done) {
  worker_.Shutdown([this, done = std::move(done)] { Defer(done); });
}

}  // namespace warmset
