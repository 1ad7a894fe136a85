// Load and unload: components onto a device and off it.
#include <chrono>
#include <utility>

#include "daemon/manifest_view.h"
#include "daemon/model_errors.h"
#include "daemon/request_dispatcher.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {

struct RequestDispatcher::LoadCall {
  Call call;
  ModelUse::Request use;
  std::shared_ptr<const ModelSummary> model;  // in the revision that was used
  DeviceId device;
  MemoryPool pool = MemoryPool::kShared;
  std::vector<ModelUse::Component> components;
  std::vector<std::string> warnings;
  SkippedParts skipped;
  size_t next = 0;
  LoadId id = 0;
  uint64_t placed_bytes = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

void RequestDispatcher::Load(Call call, const v1::Load& request) {
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  const auto device = services_.devices.Resolve(request.device());
  if (!device.ok()) return Fail(call, device.status());
  auto load = std::make_shared<LoadCall>();
  load->call = call;
  load->device = *device;
  load->id = services_.devices.NewLoad();
  const auto pool = PoolFrom(request.pool(), *device);
  if (!pool.ok()) return Fail(call, pool.status());
  load->pool = *pool;
  load->use = {.model = (*model)->summary.id,
               .components = {request.components().begin(), request.components().end()},
               .admission = request.force() ? Admission::kForced : Admission::kRefused,
               .compressed_serves = load->pool == MemoryPool::kDedicated,
               .user = services_.view.UserOf(call.session)};
  StartLoad(load);
}

void RequestDispatcher::StartLoad(const std::shared_ptr<LoadCall>& load) {
  const ModelUse::UseId id =
      services_.uses.Use(load->use, [this, load](StatusOr<ModelUse::Result> used) {
        // What a first attempt has placed of other files is of no use.
        const bool same_revision =
            used.ok() && load->model != nullptr && used->model->revision == load->model->revision;
        if (!same_revision) ReleasePlaced(*load);
        if (!used.ok()) return Fail(load->call, used.status());
        load->model = used->model;
        load->components = std::move(used->components);
        load->skipped = std::move(used->skipped);
        load->warnings = std::move(used->warnings);
        load->next = 0;
        PlaceNext(load);
      });
  Follow(load->call, id);
}

StatusOr<MemoryPool> RequestDispatcher::PoolFrom(const std::string& name,
                                                 const DeviceId& device) const {
  if (name.empty()) return services_.devices.DefaultPool(device);
  if (const auto pool = MemoryPoolFromName(name)) return *pool;
  return Error(ErrorCode::kInvalidRequest,
               fmt::format("there is no memory pool '{}'; write shared or dedicated", name));
}

void RequestDispatcher::PlaceNext(const std::shared_ptr<LoadCall>& load) {
  if (!Waiting(load->call)) return ReleasePlaced(*load);  // the client left
  if (const Status refuted = RefutedSince(*load->model); !refuted.ok()) {
    return GiveUpLoad(load, refuted);
  }
  if (load->next == load->components.size()) {
    services_.devices.CommitLoad(load->device, load->id, load->model->id);
    v1::Response response;
    v1::LoadReply* reply = response.mutable_load();
    if (const Model* model = services_.registry.Find(load->use.model)) {
      *reply->mutable_state() = services_.view.StateOf(*model);
    }
    reply->set_device(load->device.value());
    reply->set_pool(std::string(MemoryPoolName(load->pool)));
    reply->set_loaded_bytes(load->placed_bytes);
    reply->set_seconds(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - load->started).count());
    AddSkipped(load->skipped, *reply);
    for (const std::string& warning : load->warnings) response.add_warnings(warning);
    return Answer(load->call, std::move(response));
  }
  const ModelUse::Component& component = load->components[load->next++];
  bool there = false;
  const ComponentId id = load->model->components[component.index].id;
  for (const auto& placed : services_.devices.PlacementsOf(id)) {
    there |= placed.device == load->device;
  }
  const auto progress = [this, load](ByteCount done, ByteCount total) {
    v1::Response response;
    response.set_more(true);
    v1::Progress* message = response.mutable_progress();
    message->set_stage("copy");
    message->set_unit("bytes");
    message->set_item(load->model->name);
    message->set_done(done.value());
    message->set_total(total.value());
    Answer(load->call, std::move(response));
  };
  services_.devices.Place(
      load->device, load->id, id, {component.held, component.compressed}, load->pool, progress,
      [this, load, there, bytes = component.bytes()](const Status& placed) {
        if (CodeOf(placed) == ErrorCode::kCorruptedModel && load->use.compressed_serves) {
          // Its memory was damaged and is gone: its files need not be.
          load->use.compressed_serves = false;
          load->use.user.clear();  // it was counted
          return StartLoad(load);
        }
        if (!placed.ok()) return GiveUpLoad(load, placed);
        if (!there) load->placed_bytes += bytes;
        PlaceNext(load);
      });
}

// Half a model on a device serves nobody and takes memory.
void RequestDispatcher::ReleasePlaced(LoadCall& load) {
  services_.devices.AbandonLoad(load.device, load.id);
  load.placed_bytes = 0;
}

void RequestDispatcher::GiveUpLoad(const std::shared_ptr<LoadCall>& load, const Status& why) {
  ReleasePlaced(*load);
  if (Model* model = services_.registry.Find(load->use.model)) NoteOutcome(*model, why);
  Fail(load->call, Annotate(why, load->model->name));
}

struct RequestDispatcher::UnloadCall {
  Call call;
  struct Item {
    DeviceId device;
    ComponentSummary component;
  };
  ModelId model;
  std::vector<Item> items;
  size_t next = 0;
  v1::UnloadReply reply;
};

void RequestDispatcher::Unload(Call call, const v1::Unload& request) {
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  const ModelSummary& summary = (*model)->summary;
  std::vector<std::string> names(request.components().begin(), request.components().end());
  if (names.empty()) names = AllComponents(summary);
  const auto selected = SelectComponents(**model, names);
  if (!selected.ok()) return Fail(call, selected.status());
  std::optional<DeviceId> only;
  if (!request.device().empty()) {
    const auto device = services_.devices.Resolve(request.device());
    if (!device.ok()) return Fail(call, device.status());
    only = *device;
  }
  auto unload = std::make_shared<UnloadCall>();
  unload->call = call;
  unload->model = summary.id;
  unload->reply.set_model(summary.name);
  for (const uint32_t index : *selected) {
    const ComponentSummary& component = summary.components[index];
    for (const auto& placed : services_.devices.PlacementsOf(component.id)) {
      if (only && placed.device != *only) continue;
      // All or nothing, as far as can be known now.
      if (const Status held = HeldOnDevice(placed.device, component); !held.ok()) {
        return Fail(call, held);
      }
      unload->items.push_back({placed.device, component});
    }
  }
  if (unload->items.empty()) {
    return Fail(call,
                Error(ErrorCode::kNotLoaded,
                      fmt::format("{} is {}; `warmset load` brings it to a device", summary.name,
                                  only ? "not on " + only->value() : std::string("on no device"))));
  }
  ReleaseNext(unload);
}

void RequestDispatcher::ReleaseNext(const std::shared_ptr<UnloadCall>& unload) {
  if (unload->next == unload->items.size()) {
    v1::Response response;
    *response.mutable_unload() = std::move(unload->reply);
    return Answer(unload->call, std::move(response));
  }
  const UnloadCall::Item& item = unload->items[unload->next++];
  // A client may have attached it since the first look.
  if (const Status held = HeldOnDevice(item.device, item.component); !held.ok()) {
    return Fail(unload->call, held);
  }
  if (!services_.devices.Disown(item.device, unload->model, item.component.id)) {
    v1::Kept* const kept = unload->reply.add_kept();
    kept->set_component(item.component.name);
    kept->set_bytes(item.component.entry_bytes);
    kept->set_reason(WhyKeptOn(item.device, item.component.id));
    return ReleaseNext(unload);
  }
  services_.devices.Release(item.device, item.component.id,
                            [this, unload, &item](const StatusOr<ByteCount>& freed) {
                              if (!freed.ok()) return Fail(unload->call, freed.status());
                              v1::UnloadReply& reply = unload->reply;
                              reply.set_freed_bytes(reply.freed_bytes() + freed->value());
                              v1::Freed* const part = reply.add_freed();
                              part->set_component(item.component.name);
                              part->set_bytes(freed->value());
                              part->set_device(item.device.value());
                              ReleaseNext(unload);
                            });
}

// kInUse while clients hold the placement, or are about to.
Status RequestDispatcher::HeldOnDevice(const DeviceId& device,
                                       const ComponentSummary& component) const {
  const auto& holders = services_.leases.HoldersOf(component.id, device);
  if (!holders.empty()) {
    return Error(
        ErrorCode::kInUse,
        fmt::format("{} on {} is held by {}; its memory can't be freed before they end",
                    component.name, device.value(), services_.view.DescribeHolders(holders)));
  }
  if (services_.devices.IsBeingExported(device, component.id)) {
    return Error(ErrorCode::kInUse, fmt::format("a client is attaching {} on {}; try again",
                                                component.name, device.value()));
  }
  return OkStatus();
}

std::string RequestDispatcher::WhyKeptOn(const DeviceId& device,
                                         const ComponentId& component) const {
  std::vector<std::string> models;
  for (const ModelId& owner : services_.devices.OwnersOf(device, component)) {
    if (const Model* model = services_.registry.Find(owner)) models.push_back(model->summary.name);
  }
  if (models.empty()) return fmt::format("stays on {} for a load that needs it", device.value());
  return fmt::format("stays on {} for {}, which has the same content", device.value(),
                     fmt::join(models, ", "));
}

}  // namespace warmset
