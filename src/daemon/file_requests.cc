// Requests that name a model or pass a file: path, cache, preload.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "daemon/cache_settings.h"
#include "daemon/manifest_view.h"
#include "daemon/request_dispatcher.h"
#include "fmt/format.h"

namespace warmset {
namespace {

v1::PathReply PathMessage(const OpenedPath& opened) {
  v1::PathReply reply;
  reply.set_path(opened.path);
  reply.set_folder(opened.folder);
  reply.set_reason(opened.reason);
  for (const OpenedPath::Part& part : opened.parts) {
    v1::PathReply::Part* message = reply.add_parts();
    message->set_path(opened.folder + "/" + part.name);
    message->set_bytes(part.bytes);
    message->set_guarded(part.guarded);
  }
  return reply;
}

}  // namespace

template <typename Request>
void RequestDispatcher::WithSubject(Call call, const Request& request,
                                    std::vector<os::UniqueFd> fds,
                                    std::function<void(Subject)> then) {
  if (!request.file()) {
    const auto model = services_.registry.Find(request.model());
    if (!model.ok()) return Fail(call, model.status());
    return then({.model = (*model)->summary.id});
  }
  if (fds.size() != 1) {
    return Fail(call, Error(ErrorCode::kInvalidRequest,
                            "a request about a file needs exactly one descriptor"));
  }
  auto file = std::make_shared<const os::UniqueFd>(std::move(fds[0]));
  services_.passed_files.Resolve(
      file, request.file_path(), [this, call, file, then = std::move(then)](auto passed) {
        if (!passed.ok()) return Fail(call, passed.status());
        Subject subject{.model = passed->model, .file = file, .index = passed->index};
        for (const FilePart& part : passed->parts) subject.components.push_back(part.component);
        then(std::move(subject));
      });
}

void RequestDispatcher::Cache(Call call, const v1::Cache& request, std::vector<os::UniqueFd> fds) {
  WithSubject(call, request, std::move(fds), [this, call, request](Subject subject) {
    Model* const model = services_.registry.Find(subject.model);
    auto changed = ApplySettings(*model, request.settings());
    if (!changed.ok()) return Fail(call, changed.status());
    if (request.components_size() > 0) {
      subject.components = {request.components().begin(), request.components().end()};
    }
    const ModelUse::UseId use = services_.uses.Use(
        {.model = subject.model,
         .components = std::move(subject.components),
         .admission = request.force() ? Admission::kForced : Admission::kRefused,
         .views_serve = true,
         .user = services_.view.UserOf(call.session),
         .passed_file = subject.file,
         .passed_index = subject.index},
        [this, call, id = subject.model, changed = *std::move(changed)](auto used) {
          if (!used.ok()) return Fail(call, used.status());
          v1::Response response;
          v1::CacheReply* reply = response.mutable_cache();
          for (const v1::SettingChange& change : changed) *reply->add_changed() = change;
          for (const ModelUse::Component& component : used->components) {
            reply->set_loaded_bytes(reply->loaded_bytes() + component.read_bytes);
            if (component.read_bytes == 0) {
              reply->set_already_bytes(reply->already_bytes() + component.bytes());
            }
            reply->set_huge_page_bytes(reply->huge_page_bytes() +
                                       component.entry().huge_page_bytes());
          }
          for (const std::string& label : used->evicted) reply->add_evicted(label);
          for (const std::string& warning : used->warnings) response.add_warnings(warning);
          AddSkipped(used->skipped, *reply);
          reply->set_seconds(std::chrono::duration<double>(used->took).count());
          if (const Model* now = services_.registry.Find(id)) {
            *reply->mutable_state() = services_.view.StateOf(*now);
          }
          Answer(call, std::move(response));
        });
    Follow(call, use);
  });
}

void RequestDispatcher::PreloadModel(Call call, const v1::PreloadModel& request,
                                     std::vector<os::UniqueFd> fds) {
  WithSubject(call, request, std::move(fds), [this, call, request](Subject subject) {
    const Model& model = *services_.registry.Find(subject.model);
    const ModelSummary& summary = model.summary;
    if (request.components_size() > 0) {
      subject.components = {request.components().begin(), request.components().end()};
    }
    const auto selected = SelectComponents(model, subject.components);
    if (!selected.ok()) return Fail(call, selected.status());
    if (summary.verdict != Verdict::kOk) {
      return Fail(call, Error(CodeOfVerdict(summary.verdict),
                              fmt::format("{} is {} and can't be used; `warmset show` says why",
                                          summary.name, VerdictName(summary.verdict))));
    }
    v1::Response response;
    v1::PreloadReply* const reply = response.mutable_preload();
    reply->set_in_ram(services_.preloader.IsInRam(summary, subject.components));
    if (!reply->in_ram()) reply->set_waiting(services_.preloader.waiting());
    if (subject.file == nullptr) {
      services_.preloader.Preload(summary.id, subject.components, PreloadReason::kHint);
    } else {  // which may be one that only its descriptor opens
      services_.uses.Use({.model = subject.model,
                          .components = subject.components,
                          .preload = PreloadReason::kHint,
                          .passed_file = subject.file,
                          .passed_index = subject.index},
                         [](const StatusOr<ModelUse::Result>&) {});
    }
    *reply->mutable_state() = services_.view.StateOf(model);
    Answer(call, std::move(response));
  });
}

void RequestDispatcher::GetPath(Call call, const v1::GetPath& request,
                                std::vector<os::UniqueFd> fds) {
  WithSubject(call, request, std::move(fds), [this, call](const Subject& subject) {
    const ModelUse::UseId use = services_.paths.Open(
        {.model = subject.model,
         .user = services_.view.UserOf(call.session),
         .passed_file = subject.file,
         .passed_index = subject.index},
        [this, call, subject](const StatusOr<OpenedPath>& opened) {
          if (!opened.ok()) return Fail(call, opened.status());
          v1::Response response;
          v1::PathReply& reply = *response.mutable_path();
          reply = PathMessage(*opened);
          const auto part = static_cast<int>(subject.index);
          if (subject.file != nullptr && part < reply.parts_size()) {
            reply.set_path(reply.parts(part).path());
          }
          for (const std::string& warning : opened->warnings) response.add_warnings(warning);
          Answer(call, std::move(response));
        });
    Follow(call, use);
  });
}

}  // namespace warmset
