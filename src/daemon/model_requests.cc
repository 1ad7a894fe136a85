// What is known of one model, what the user says of it, and whether it can be
// used on a device.
#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/nearest.h"
#include "daemon/alternatives.h"
#include "daemon/manifest_view.h"
#include "daemon/request_dispatcher.h"
#include "fmt/format.h"
#include "inspect/compatibility/device_check.h"
#include "inspect/identify/identify.h"

namespace warmset {
namespace {

constexpr size_t kMaxArchitectureBytes = 64;

// Names as identification writes them ("flux.1-dev"): those that it knows, those that
// models here have, and with force any.
Status CheckArchitecture(std::string_view name, bool force, const ModelRegistry& registry) {
  const bool plain =
      name.size() <= kMaxArchitectureBytes && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '_' || c == '+';
      });
  if (!plain) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("an architecture has at most {} small letters, digits and . - _ +",
                             kMaxArchitectureBytes));
  }
  if (name.empty() || force || IsKnownArchitecture(name)) return OkStatus();
  const std::vector<std::string_view> told = ModelArchitectures();
  std::set<std::string_view> names(told.begin(), told.end());
  for (const auto& [model_name, model] : registry.all()) {
    names.insert(model->override_by_user->empty() ? model->summary.architecture.str()
                                                  : model->identified->architecture);
  }
  if (names.contains(name)) return OkStatus();
  const std::vector<std::string_view> known(names.begin(), names.end());
  return Error(ErrorCode::kInvalidRequest,
               fmt::format("no architecture '{}' is known{}; `--force` sets it all the same", name,
                           NearText(name, known)));
}

// The model's own findings and those about the device, the worst first.
std::vector<Finding> FindingsFor(const Manifest& manifest,
                                 const std::optional<DeviceProfile>& device,
                                 const std::set<ComponentId>& placed) {
  std::vector<Finding> findings = manifest.findings;
  if (device) {
    std::vector<Finding> more = CheckDevice(manifest, *device, placed);
    std::move(more.begin(), more.end(), std::back_inserter(findings));
  }
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.verdict > b.verdict; });
  return findings;
}

}  // namespace

void RequestDispatcher::GetModelDetail(Call call, const v1::GetModelDetail& request) {
  const auto model = services_.registry.Find(request.name());
  if (!model.ok()) return Fail(call, model.status());
  services_.pool.Submit([this, call, summary = (*model)->summary](std::stop_token) {
    v1::ModelDetail known;
    if (const auto manifest = services_.library.ManifestOf(summary); manifest.ok()) {
      known = ManifestMessage(*manifest);
    }
    services_.loop.Post([this, call, id = summary.id, known = std::move(known)]() mutable {
      const Model* now = services_.registry.Find(id);
      if (now == nullptr) {
        return Fail(call, Error(ErrorCode::kModelNotFound, "the model's files are gone"));
      }
      v1::Response response;
      *response.mutable_detail() = services_.view.DetailOf(*now, std::move(known));
      Answer(call, std::move(response));
    });
  });
}

void RequestDispatcher::SetOverride(Call call, const v1::SetOverride& request) {
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  const ModelOverride wanted{.kind = LowerCase(request.override().kind()),
                             .architecture = LowerCase(request.override().architecture())};
  // What was set with force before stays.
  const bool force =
      request.force() || wanted.architecture == (*model)->override_by_user->architecture;
  for (const Status& checked :
       {ValidateOverride({.kind = wanted.kind, .architecture = wanted.architecture}),
        CheckArchitecture(wanted.architecture, force, services_.registry)}) {
    if (!checked.ok()) return Fail(call, checked);
  }
  if ((*model)->ad_hoc) {
    return Fail(call, Error(ErrorCode::kInvalidRequest,
                            fmt::format("{} is known only while it is used; put it below a root "
                                        "first",
                                        (*model)->summary.name)));
  }
  const Status set = services_.library.SetOverride((*model)->summary.id, wanted);
  if (!set.ok()) return Fail(call, set);
  v1::Response response;
  *response.mutable_override()->mutable_state() = services_.view.StateOf(**model);
  Answer(call, std::move(response));
}

struct RequestDispatcher::CompatibilityCall {
  Call call;
  std::optional<ModelId> model;  // nothing for a passed file
  std::optional<DeviceProfile> device;
  std::set<ComponentId> placed;  // on the device already
};

void RequestDispatcher::ValidateCompatibility(Call call, const v1::ValidateCompatibility& request,
                                              std::vector<os::UniqueFd> fds) {
  auto check = std::make_shared<CompatibilityCall>();
  check->call = call;
  if (!request.device().empty()) {
    auto device = services_.view.ProfileOf(request.device());
    if (!device.ok()) return Fail(call, device.status());
    check->device = *std::move(device);
  }
  if (request.file()) {
    if (fds.size() != 1) {
      return Fail(call, Error(ErrorCode::kInvalidRequest,
                              "checking a file needs exactly one descriptor"));
    }
    return services_.passed_files.Look(
        std::make_shared<os::UniqueFd>(std::move(fds[0])), request.file_path(),
        [this, check](const StatusOr<Manifest>& manifest) {
          if (!manifest.ok()) return Fail(check->call, manifest.status());
          AnswerCompatibility(*check, FindingsFor(*manifest, check->device, check->placed));
        });
  }
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  check->model = (*model)->summary.id;
  for (const ComponentSummary& component : (*model)->summary.components) {
    for (const DeviceService::Placed& placed : services_.devices.PlacementsOf(component.id)) {
      if (placed.device.value() == request.device()) check->placed.insert(component.id);
    }
  }
  services_.pool.Submit([this, check, summary = (*model)->summary](std::stop_token) {
    const auto manifest = services_.library.ManifestOf(summary);
    auto findings = manifest.ok() ? FindingsFor(*manifest, check->device, check->placed)
                                  : StatusOr<std::vector<Finding>>(manifest.status());
    services_.loop.Post([this, check, findings = std::move(findings)] {
      if (!findings.ok()) return Fail(check->call, findings.status());
      AnswerCompatibility(*check, *findings);
    });
  });
}

void RequestDispatcher::AnswerCompatibility(const CompatibilityCall& check,
                                            const std::vector<Finding>& findings) {
  v1::Response response;
  v1::CompatibilityReply* reply = response.mutable_compatibility();
  if (check.device) reply->set_device(check.device->title);
  reply->set_compatible(true);
  for (const Finding& finding : findings) {
    if (finding.verdict != Verdict::kOk) reply->set_compatible(false);
    *reply->add_reasons() = FindingMessage(finding);
  }
  const Model* model = check.model ? services_.registry.Find(*check.model) : nullptr;
  if (model != nullptr && !reply->compatible()) {
    for (const ModelSummary* other : AlternativesTo(services_.registry, model->summary)) {
      *reply->add_alternatives() = services_.view.StateOf(*services_.registry.Find(other->id));
    }
  }
  Answer(check.call, std::move(response));
}

}  // namespace warmset
