#include "daemon/name_waiters.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "daemon/state_view.h"

namespace warmset {
namespace {

constexpr std::chrono::milliseconds kLookInterval{100};

// The models that a request names.
std::vector<std::string> NamesIn(const v1::Request& request) {
  const google::protobuf::Reflection* const reflection = request.GetReflection();
  const google::protobuf::FieldDescriptor* const call = reflection->GetOneofFieldDescriptor(
      request, request.GetDescriptor()->FindOneofByName("call"));
  if (call == nullptr) return {};
  const google::protobuf::Message& message = reflection->GetMessage(request, call);
  std::vector<std::string> names;
  for (const char* name : {"model", "name", "names"}) {
    const auto* const field = message.GetDescriptor()->FindFieldByName(name);
    const bool is_text = field != nullptr &&
                         field->type() == google::protobuf::FieldDescriptor::TYPE_STRING;
    if (!is_text) continue;
    const google::protobuf::Reflection* const inner = message.GetReflection();
    if (!field->is_repeated()) {
      names.push_back(inner->GetString(message, field));
      continue;
    }
    for (int i = 0; i < inner->FieldSize(message, field); ++i) {
      names.push_back(inner->GetRepeatedString(message, field, i));
    }
  }
  std::erase(names, "");  // a request about a file that it passes
  return names;
}

}  // namespace

bool NameWaiters::Take(SessionId session, const v1::Request& request,
                       std::vector<os::UniqueFd>& fds) {
  if (library_.first_scan_done() || !MustWait(request)) return false;
  waiters_.push_back({session, request, std::move(fds), {}});
  if (waiters_.size() == 1) loop_.RunAfter(kLookInterval, [this] { Look(); });
  return true;
}

// A name that is not whole may fit a model better that is not found yet, unless an
// earlier daemon knew them all.
bool NameWaiters::MustWait(const v1::Request& request) const {
  const std::vector<std::string> names = NamesIn(request);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    if (registry_.all().contains(name)) return false;
    const ErrorCode code = CodeOf(registry_.Find(name).status());
    return code == ErrorCode::kModelNotFound ||
           (code != ErrorCode::kInvalidName && !library_.restored());
  });
}

void NameWaiters::Look() {
  const bool done = library_.first_scan_done();
  std::list<Waiter> go_on;
  for (auto next = waiters_.begin(); next != waiters_.end();) {
    const auto waiter = next++;
    if (!events_.is_waiting(waiter->session, waiter->request.id())) {
      waiters_.erase(waiter);
      continue;
    }
    const std::vector<std::string> names = NamesIn(waiter->request);
    const bool found = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return registry_.all().contains(name);
    });
    if (done || found) {
      go_on.splice(go_on.end(), waiters_, waiter);
    } else {
      Report(*waiter);
    }
  }
  if (!waiters_.empty()) loop_.RunAfter(kLookInterval, [this] { Look(); });
  for (Waiter& waiter : go_on) {
    events_.go_on(waiter.session, waiter.request, std::move(waiter.fds));
  }
}

// Only what has moved: a scan that stands still is no progress.
void NameWaiters::Report(Waiter& waiter) {
  const std::optional<ScanProgress>& now = library_.progress();
  if (!now || *now == waiter.reported) return;
  waiter.reported = *now;
  v1::Response response;
  response.set_id(waiter.request.id());
  response.set_more(true);
  *response.mutable_progress() = StateView::ProgressMessage(*now);
  events_.progress(waiter.session, std::move(response));
}

}  // namespace warmset
