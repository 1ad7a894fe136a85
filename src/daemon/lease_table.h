// Who holds what.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "wire/server.h"

namespace warmset {

using wire::SessionId;
class EntryHold;
using LeaseId = uint64_t;

// One session's hold on one component, in RAM or on a device.
struct Lease {
  SessionId session;
  ModelId model;
  ComponentId component;
  std::optional<DeviceId> device;  // nothing: the entry in RAM
  std::shared_ptr<const void> held;  // keeps the memory; ends with the lease
};

// All leases of all sessions. What a lease protects is told when it ends, so
// that its owner can count down. Loop thread only.
class LeaseTable {
 public:
  using OnEnd = std::function<void(const Lease&)>;
  explicit LeaseTable(OnEnd on_end) : on_end_(std::move(on_end)) {}

  LeaseId Add(const Lease& lease);
  // kInvalidRequest unless the lease is the session's own; then nothing changed.
  Status Release(SessionId session, LeaseId id);
  void EndSession(SessionId session);
  // Ends the leases that any session got by one of these models on one of these
  // components, in RAM and on devices.
  struct Ended {
    ModelId model;
    std::vector<LeaseId> leases;
  };
  std::map<SessionId, std::vector<Ended>> EndLeasesOn(const std::set<ModelId>& models,
                                                      const std::set<ComponentId>& components);

  // Sessions with a lease, and how many each has.
  using Holders = std::map<SessionId, uint32_t>;
  const Holders& HoldersOf(const ModelId& model) const;
  // Of that component: in RAM, or on the given device.
  const Holders& HoldersOf(const ComponentId& component,
                           const std::optional<DeviceId>& device) const;

 private:
  using Place = std::pair<ComponentId, std::optional<DeviceId>>;
  void End(LeaseId id);

  const OnEnd on_end_;
  std::map<LeaseId, Lease> leases_;
  std::map<SessionId, std::set<LeaseId>> by_session_;
  std::map<ModelId, Holders> by_model_;
  std::map<Place, Holders> by_place_;
  LeaseId next_ = 1;
};

uint32_t CountLeases(const LeaseTable::Holders& holders);

}  // namespace warmset
