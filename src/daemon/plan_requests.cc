// What caching or loading a model would do, without doing it.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/request_dispatcher.h"
#include "fmt/format.h"

namespace warmset {
namespace {

using What = EntryStore::Step::What;
using Retention = EntryStore::Retention;

std::string_view WhatName(What what) {
  switch (what) {
    case What::kRawForm:
      return "raw form";
    case What::kCompressedForm:
      return "compressed form";
    case What::kComponent:
      break;
  }
  return "component";
}

std::string ReasonOf(const EntryStore::Step& step, const std::string& policy,
                     std::span<Model* const> users) {
  if (step.what == What::kRawForm) return "it is there compressed too";
  if (step.what == What::kCompressedForm) return "its raw form is in use and stays";
  int64_t last_used = 0;
  for (const Model* user : users) last_used = std::max(last_used, user->last_used_unix_ms);
  std::string reason = step.retention == Retention::kGone  ? "its file is gone; "
                       : step.retention == Retention::kLow ? "low priority; "
                       : step.retention == Retention::kHigh ? "nothing of lower priority is left; "
                                                            : "";
  reason += step.expendable ? "its memory serves others better, by its use and costs"
                            : fmt::format("worth least of these by {}", policy);
  if (last_used > 0) {
    const std::chrono::milliseconds age(std::max<int64_t>(UnixMilliseconds() - last_used, 0));
    reason += fmt::format(", last used {} ago", FormatDuration(age));
  }
  return reason;
}

}  // namespace

struct RequestDispatcher::PlanCall {
  Call call;
  ModelSummary summary;
  std::vector<uint32_t> selected;
  std::optional<DeviceId> device;  // of load
  MemoryPool pool = MemoryPool::kShared;
};

void RequestDispatcher::Plan(Call call, const v1::Plan& request) {
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  auto selected = SelectComponents(
      **model, {request.components().begin(), request.components().end()});
  if (!selected.ok()) return Fail(call, selected.status());
  auto plan = std::make_shared<PlanCall>();
  plan->call = call;
  plan->summary = (*model)->summary;
  plan->selected = *std::move(selected);
  if (request.load()) {
    const auto device = services_.devices.Resolve(request.device());
    if (!device.ok()) return Fail(call, device.status());
    const auto pool = PoolFrom(request.pool(), *device);
    if (!pool.ok()) return Fail(call, pool.status());
    plan->device = *device;
    plan->pool = *pool;
  }
  services_.pool.Submit([this, plan](std::stop_token) {
    auto manifest = services_.library.ManifestOf(plan->summary);
    services_.loop.Post([this, plan, manifest = std::move(manifest)] {
      if (!manifest.ok()) return Fail(plan->call, manifest.status());
      AnswerPlan(*plan, *manifest);
    });
  });
}

void RequestDispatcher::AnswerPlan(const PlanCall& plan, const Manifest& manifest) {
  v1::Response response;
  v1::PlanReply* const reply = response.mutable_plan();
  reply->set_model(plan.summary.name);
  ByteCount needed;
  std::vector<ComponentId> there;
  double seconds = 0;
  const ComponentCosts& costs = services_.cache.costs();
  for (const uint32_t index : plan.selected) {
    if (index >= manifest.components.size()) continue;
    const ComponentManifest& component = manifest.components[index];
    if (services_.cache.Has(component.id)) there.push_back(component.id);
    if (services_.cache.Find(component.id) != nullptr) {
      reply->set_already_bytes(reply->already_bytes() + component.entry_bytes);
      continue;
    }
    // A worker decodes it without a raw entry.
    const bool is_decoded_there = plan.device && plan.pool == MemoryPool::kDedicated &&
                                  services_.cache.Has(component.id);
    if (!is_decoded_there) needed += EntryMemory(component);
    if (services_.cache.Has(component.id)) {
      reply->set_decoded_bytes(reply->decoded_bytes() + component.entry_bytes);
      seconds += costs.DecodeSeconds(component.id, component.entry_bytes);
    } else {
      seconds += costs.LoadSeconds(component.id, component.entry_bytes);
    }
  }
  const BudgetUse use = services_.cache.MemoryUse();
  reply->set_needed_bytes(needed.value());
  reply->set_free_bytes((use.free() + use.reserve).value());
  reply->set_seconds(seconds);
  if (plan.device) AddDevicePlan(plan, manifest, *reply);

  const auto steps = services_.cache.PlanRoom(needed, there);
  if (!steps.ok()) {
    reply->mutable_refused()->set_code(std::string(ErrorCodeName(CodeOf(steps.status()))));
    reply->mutable_refused()->set_message(std::string(Message(steps.status())));
    return Answer(plan.call, std::move(response));
  }
  for (const ComponentCache::PlannedStep& planned : *steps) {
    const auto users = services_.registry.UsersOf(planned.step.components.front());
    v1::PlanStep* const step = reply->add_steps();
    step->set_what(std::string(WhatName(planned.step.what)));
    step->set_component(planned.label);
    step->set_bytes(planned.step.frees.value());
    step->set_bring_back_seconds(planned.bring_back_seconds);
    step->set_reason(ReasonOf(planned.step, services_.options.eviction, users));
  }
  Answer(plan.call, std::move(response));
}

void RequestDispatcher::AddDevicePlan(const PlanCall& plan, const Manifest& manifest,
                                      v1::PlanReply& reply) {
  reply.set_device(plan.device->value());
  reply.set_pool(std::string(MemoryPoolName(plan.pool)));
  if (plan.pool == MemoryPool::kShared) return;  // it uses the entries' own pages
  uint64_t needed = 0;
  for (const uint32_t index : plan.selected) {
    if (index >= manifest.components.size()) continue;
    const ComponentManifest& component = manifest.components[index];
    const auto& placed = services_.devices.PlacementsOf(component.id);
    const bool there = std::any_of(placed.begin(), placed.end(), [&](const auto& each) {
      return each.device == *plan.device;
    });
    if (!there) needed += component.entry_bytes;
  }
  const ByteCount free = services_.view.FreeMemoryOf(*plan.device);
  reply.set_device_needed_bytes(needed);
  reply.set_device_free_bytes(free.value());
  if (needed > free.value()) {
    reply.mutable_refused()->set_code(
        std::string(ErrorCodeName(ErrorCode::kInsufficientDeviceMemory)));
    const auto sizes = FormatSizes({free, ByteCount(needed)});
    reply.mutable_refused()->set_message(fmt::format("{} has {} free of the {} that are needed",
                                                     plan.device->value(), sizes[0], sizes[1]));
  }
}

}  // namespace warmset
