// Attach: from entries or placements to descriptors in a client's hands.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "cache/entry_part.h"
#include "daemon/request_dispatcher.h"
#include "fmt/format.h"
#include "os/memory_file.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

using Wanted = std::function<bool(const TensorEntry&)>;

Wanted LiesIn(const std::vector<std::pair<uint64_t, uint64_t>>& ranges) {
  return [&ranges](const TensorEntry& tensor) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
      return tensor.offset >= range.first && tensor.offset + tensor.bytes <= range.second;
    });
  };
}

// What it finds leaves the names.
Wanted IsNamedIn(std::set<std::string>& names) {
  return [&names](const TensorEntry& tensor) { return names.erase(tensor.name) > 0; };
}

// An entry's index with the tensors that are wanted, sealed.
StatusOr<os::MemoryFile> Filter(const Entry& entry, const Wanted& wanted) {
  ASSIGN_OR_RETURN(const os::Mapping mapped,
                   os::Mapping::Create(entry.index_fd(), entry.index_bytes(),
                                       os::Mapping::Kind::kSharedReadOnly));
  ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(mapped.span()));
  std::vector<TensorEntry> tensors;
  for (uint64_t i = 0; i < index.tensor_count(); ++i) {
    TensorEntry tensor = index.tensor(i);
    if (wanted(tensor)) tensors.push_back(std::move(tensor));
  }
  const std::string blob = EncodeTensorIndex(tensors, index.metadata(), index.data_bytes());
  return os::MakeSealedFile("warmset-index", AsBytes(blob));
}

// What keeps the memory while its descriptors are sent.
std::shared_ptr<const void> OwnerOf(const ModelUse::Component& component) {
  if (component.part != nullptr) return component.part;
  return component.held;
}

std::shared_ptr<const void> LeaseOn(const ModelUse::Component& component) {
  if (component.part != nullptr) return component.part;
  return std::make_shared<const EntryHold>(component.held->Again(EntryStore::HoldKind::kLease));
}

wire::SharedFd ShareFile(os::MemoryFile file) {
  auto owner = std::make_shared<os::MemoryFile>(std::move(file));
  return {owner->fd(), owner};
}

}  // namespace

struct RequestDispatcher::AttachCall {
  // Of one file, by component.
  using FileRuns = std::map<std::string, std::vector<FileRun>>;

  Call call;
  std::shared_ptr<const ModelSummary> model;  // in the revision that is attached
  std::vector<ModelUse::Component> components;
  std::vector<FilePart> parts;  // of a passed file, in the order of components
  bool wants_file_runs = false;
  FileRuns file_runs;
  std::set<std::string> tensors;  // empty: all
  std::vector<std::string> warnings;
  std::optional<DeviceId> device;
  size_t next = 0;  // of components: to be exported
};

void RequestDispatcher::Attach(Call call, const v1::Attach& request,
                               std::vector<os::UniqueFd> fds) {
  if (request.file()) {
    if (request.tensors_size() > 0) {
      return Fail(call, Error(ErrorCode::kInvalidRequest,
                              "tensors are asked for of a known model, not of a passed file"));
    }
    if (fds.size() != 1) {
      return Fail(
          call, Error(ErrorCode::kInvalidRequest, "attaching a file needs exactly one descriptor"));
    }
    if (!request.device().empty()) {
      return Fail(call, Error(ErrorCode::kInvalidRequest,
                              "a passed file is attached in RAM; load its model on a device"));
    }
    return AttachPassedFile(call, std::make_shared<os::UniqueFd>(std::move(fds[0])), request);
  }
  const auto model = services_.registry.Find(request.model());
  if (!model.ok()) return Fail(call, model.status());
  const ModelSummary& summary = (*model)->summary;
  auto attach = std::make_shared<AttachCall>();
  attach->call = call;
  std::vector<std::string> components(request.components().begin(), request.components().end());
  attach->tensors = {request.tensors().begin(), request.tensors().end()};
  if (!attach->tensors.empty()) {
    const auto selected = SelectComponents(**model, components);
    if (!selected.ok()) return Fail(call, selected.status());
    if (selected->size() != 1 || !request.device().empty()) {
      return Fail(call, Error(ErrorCode::kInvalidRequest,
                              "tensors are asked for of one component, in RAM"));
    }
  }

  // A model without components is refused as one for the RAM is.
  if (!request.device().empty() && !summary.components.empty()) {
    const auto device = services_.devices.Resolve(request.device());
    if (!device.ok()) return Fail(call, device.status());
    const auto selected = SelectComponents(**model, components);
    if (!selected.ok()) return Fail(call, selected.status());
    attach->device = *device;
    attach->model = std::make_shared<const ModelSummary>(summary);
    for (const uint32_t index : *selected) {
      if (!services_.devices.IsWanted(*device, summary.components[index].id)) {
        return Fail(call, Error(ErrorCode::kNotLoaded,
                                fmt::format("{} of {} is not on {}; `warmset load` brings it there",
                                            summary.components[index].name, summary.name,
                                            device->value())));
      }
      attach->components.push_back({.index = index});
    }
    return AttachPlacements(attach);
  }
  const ModelUse::UseId use =
      services_.uses.Use({.model = summary.id,
                          .components = std::move(components),
                          .admission = Admission::kIfCached,
                          .tensors = {attach->tensors.begin(), attach->tensors.end()},
                          .views_serve = true,
                          .user = services_.view.UserOf(call.session)},
                         [this, attach](StatusOr<ModelUse::Result> used) {
                           if (!used.ok()) return Fail(attach->call, used.status());
                           attach->model = used->model;
                           attach->components = std::move(used->components);
                           attach->warnings = std::move(used->warnings);
                           AttachEntries(attach);
                         });
  Follow(call, use);
}

void RequestDispatcher::AttachPassedFile(Call call, std::shared_ptr<const os::UniqueFd> file,
                                         const v1::Attach& request, bool again) {
  const std::set<std::string> only(request.components().begin(), request.components().end());
  services_.passed_files.Resolve(
      file, request.file_path(),
      [this, call, file, only, request, again](StatusOr<PassedFile> passed) {
        if (!passed.ok()) return Fail(call, passed.status());
        std::erase_if(passed->parts, [&](const FilePart& part) {
          return !only.empty() && !only.contains(part.component);
        });
        if (!only.empty() && passed->parts.empty()) {
          return Fail(call, Error(ErrorCode::kComponentNotFound,
                                  "the passed file has nothing of that component"));
        }
        auto attach = std::make_shared<AttachCall>();
        attach->call = call;
        attach->wants_file_runs = request.file_runs();
        attach->parts = passed->parts;
        ModelUse::Request use{
            .model = passed->model,
            .admission = Admission::kIfCached,
            .views_serve = !request.file_runs(),  // which are of the component's own entry
            .user = services_.view.UserOf(attach->call.session),
            .passed_file = file,
            .passed_index = passed->index};
        for (const FilePart& part : passed->parts) use.components.push_back(part.component);
        const ModelUse::UseId id = services_.uses.Use(
            std::move(use), [this, attach, file, request, again, passed = *passed](auto used) {
              const Model* now = services_.registry.Find(passed.model);
              const bool moved_on =
                  used.ok() ? used->model->revision != passed.revision
                            : now == nullptr || now->summary.revision != passed.revision;
              // The model has another revision meanwhile: the file itself may be what it was.
              if (moved_on && !again) return AttachPassedFile(attach->call, file, request, true);
              if (!used.ok()) return Fail(attach->call, used.status());
              if (moved_on) {
                return Fail(attach->call, Error(ErrorCode::kFileChanged,
                                                "the file was replaced while it was attached"));
              }
              attach->model = used->model;
              attach->components = std::move(used->components);
              if (!attach->wants_file_runs) return AttachEntries(attach);
              FindFileRuns(attach, passed.index);
            });
        Follow(call, id);
      });
}

// A manifest may list a million tensors: not on the loop.
void RequestDispatcher::FindFileRuns(const std::shared_ptr<AttachCall>& attach, uint32_t file) {
  services_.pool.Submit([this, shared = attach, file](std::stop_token) mutable {
    const auto manifest = services_.library.ManifestOf(*shared->model);
    AttachCall::FileRuns runs;
    if (manifest.ok()) {
      for (const ComponentManifest& component : manifest->components) {
        for (const FileRun& run : component.runs) {
          if (run.file == file) runs[component.name].push_back(run);
        }
      }
    }
    // The call holds entries, which only the loop may let go.
    services_.loop.Post([this, shared = std::move(shared), runs = std::move(runs),
                         status = manifest.status()]() mutable {
      if (!status.ok()) return Fail(shared->call, status);
      if (const Status refuted = RefutedSince(*shared->model); !refuted.ok()) {
        return Fail(shared->call, refuted);
      }
      shared->file_runs = std::move(runs);
      AttachEntries(shared);
    });
  });
}

void RequestDispatcher::AttachEntries(const std::shared_ptr<AttachCall>& attach) {
  // All that can fail comes before the first lease.
  std::vector<wire::SharedFd> indices;
  for (const ModelUse::Component& component : attach->components) {
    auto index = IndexOf(*attach, component);
    if (!index.ok()) return Fail(attach->call, index.status());
    indices.push_back(*std::move(index));
  }
  for (size_t i = 0; i < attach->components.size(); ++i) {
    if (!Waiting(attach->call)) return;  // the client left: no lease without a holder
    SendEntry(*attach, attach->components[i], std::move(indices[i]),
              attach->components.size() - i - 1);
  }
}

// The index that the client gets: the entry's own, or one with what was requested of it.
StatusOr<wire::SharedFd> RequestDispatcher::IndexOf(const AttachCall& attach,
                                                    const ModelUse::Component& component) {
  const Entry& entry = component.entry();
  const std::string& name = attach.model->components[component.index].name;
  const auto part =
      std::find_if(attach.parts.begin(), attach.parts.end(),
                   [&](const FilePart& candidate) { return candidate.component == name; });
  StatusOr<os::MemoryFile> filtered;
  if (!component.ranges.empty()) {
    filtered = Filter(entry, LiesIn(component.ranges));
  } else if (part != attach.parts.end() && !part->ranges.empty()) {
    filtered = Filter(entry, LiesIn(part->ranges));
  } else if (!attach.tensors.empty() && component.part == nullptr) {
    std::set<std::string> missing = attach.tensors;
    filtered = Filter(entry, IsNamedIn(missing));
    if (filtered.ok() && !missing.empty())
      return Annotate(NoSuchTensor(*missing.begin()), attach.model->name);
  } else {
    return wire::SharedFd{entry.index_fd(), OwnerOf(component)};
  }
  RETURN_IF_ERROR(filtered.status());
  return ShareFile(*std::move(filtered));
}

void RequestDispatcher::SendEntry(const AttachCall& attach, const ModelUse::Component& component,
                                  wire::SharedFd index, size_t left) {
  const Entry& entry = component.entry();
  const ModelSummary& model = *attach.model;
  const ComponentSummary& summary = model.components[component.index];
  v1::Response response;
  response.set_more(left > 0);
  v1::AttachedComponent* attached = response.mutable_attached();
  attached->set_model(model.name);
  attached->set_component(summary.name);
  attached->set_type(summary.type);
  attached->set_lease(services_.leases.Add({.session = attach.call.session,
                                            .model = model.id,
                                            .component = summary.id,
                                            .device = std::nullopt,
                                            .held = LeaseOn(component)}));
  attached->set_bytes(entry.bytes());
  attached->set_index_fd(0);
  v1::AttachedComponent::Chunk* chunk = attached->add_chunks();
  chunk->set_fd(1);
  chunk->set_bytes(entry.bytes());
  attached->set_components_left(static_cast<uint32_t>(left));
  if (const auto runs = attach.file_runs.find(summary.name); runs != attach.file_runs.end()) {
    for (const FileRun& run : runs->second) {
      v1::AttachedComponent::FileRun* message = attached->add_file_runs();
      message->set_file_offset(run.file_offset);
      message->set_offset(run.entry_offset);
      message->set_bytes(run.bytes);
    }
  }
  if (left == 0) {
    for (const std::string& warning : attach.warnings) response.add_warnings(warning);
  }
  Answer(attach.call, std::move(response),
         {std::move(index), {entry.data_fd(), OwnerOf(component)}});
}

// One export after another: each answer carries up to 251 descriptors.
void RequestDispatcher::AttachPlacements(const std::shared_ptr<AttachCall>& attach) {
  const size_t i = attach->next++;
  const ComponentSummary& summary = attach->model->components[attach->components[i].index];
  services_.devices.Export(
      *attach->device, summary.id,
      [this, attach, i, summary](StatusOr<ExportedPlacement> exported) {
        if (!exported.ok()) {
          return Fail(attach->call,
                      Annotate(exported.status(),
                               fmt::format("{} on {}", summary.name, attach->device->value())));
        }
        if (const Status refuted = RefutedSince(*attach->model); !refuted.ok()) {
          return Fail(attach->call, refuted);
        }
        if (!Waiting(attach->call)) return;
        const size_t left = attach->components.size() - i - 1;
        v1::Response response;
        response.set_more(left > 0);
        v1::AttachedComponent* attached = response.mutable_attached();
        attached->set_model(attach->model->name);
        attached->set_component(summary.name);
        attached->set_type(summary.type);
        attached->set_device(attach->device->value());
        attached->set_lease(services_.leases.Add({.session = attach->call.session,
                                                  .model = attach->model->id,
                                                  .component = summary.id,
                                                  .device = attach->device,
                                                  .held = nullptr}));
        attached->set_index_fd(0);
        std::vector<wire::SharedFd> fds = {wire::Share(std::move(exported->index))};
        uint64_t bytes = 0;
        for (ExportedChunk& chunk : exported->chunks) {
          v1::AttachedComponent::Chunk* message = attached->add_chunks();
          message->set_fd(static_cast<uint32_t>(fds.size()));
          message->set_bytes(chunk.bytes.value());
          bytes += chunk.bytes.value();
          fds.push_back(wire::Share(std::move(chunk.fd)));
        }
        attached->set_bytes(bytes);
        attached->set_components_left(static_cast<uint32_t>(left));
        Answer(attach->call, std::move(response), std::move(fds));
        if (left > 0) AttachPlacements(attach);
      });
}

}  // namespace warmset
