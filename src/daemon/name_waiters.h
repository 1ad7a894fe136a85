// Requests that name a model which the first scan may still find.
#pragma once

#include <functional>
#include <list>
#include <string_view>
#include <vector>

#include "daemon/library_service.h"
#include "daemon/model_registry.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "warmset/v1/session.pb.h"
#include "wire/server.h"

namespace warmset {

using wire::SessionId;

// Holds them until the model is found or the scan has ended, and reports how far the
// scan is. Loop thread only.
class NameWaiters {
 public:
  struct Events {
    // Whether a request is still to be answered.
    std::function<bool(SessionId, uint64_t request)> is_waiting;
    std::function<void(SessionId, v1::Response)> progress;
    std::function<void(SessionId, const v1::Request&, std::vector<os::UniqueFd>)> go_on;
  };

  NameWaiters(os::EventLoop& loop, ModelRegistry& registry, LibraryService& library, Events events)
      : loop_(loop), registry_(registry), library_(library), events_(std::move(events)) {}

  // Takes the request if it has to wait.
  bool Take(SessionId session, const v1::Request& request, std::vector<os::UniqueFd>& fds);

 private:
  struct Waiter {
    SessionId session;
    v1::Request request;
    std::vector<os::UniqueFd> fds;
    ScanProgress reported;
  };

  bool MustWait(const v1::Request& request) const;
  void Look();
  void Report(Waiter& waiter);

  os::EventLoop& loop_;
  ModelRegistry& registry_;
  LibraryService& library_;
  const Events events_;
  std::list<Waiter> waiters_;
};

}  // namespace warmset
