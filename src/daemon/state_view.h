// What the daemon says about itself: its state as messages.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "daemon/component_cache.h"
#include "daemon/device_service.h"
#include "daemon/lease_table.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"
#include "daemon/notices.h"
#include "daemon/path_service.h"
#include "discover/claim_results.h"
#include "discover/library.h"
#include "inspect/compatibility/device_profile.h"
#include "os/unix_socket.h"
#include "warmset/v1/session.pb.h"
#include "wire/server.h"

namespace warmset {

// Reads the services and builds messages; changes nothing. Loop thread only.
class StateView {
 public:
  StateView(const ModelRegistry& registry, const ComponentCache& cache, const LeaseTable& leases,
            DeviceService& devices, const PathService& paths, const ClaimResults& claims,
            ModelUse& uses, const Notices& notices, CacheStrategy default_strategy,
            ByteCount configured_limit)
      : registry_(registry),
        cache_(cache),
        leases_(leases),
        devices_(devices),
        paths_(paths),
        claims_(claims),
        uses_(uses),
        notices_(notices),
        default_strategy_(default_strategy),
        configured_limit_(configured_limit) {}

  void SessionOpened(const wire::SessionInfo& session);
  void SessionEnded(SessionId session);
  // Whose habits the session's requests are counted to: "UID/client".
  std::string UserOf(SessionId session) const;

  // At most 300 bytes for names of usual length.
  v1::ModelState StateOf(const Model& model) const;
  // Adds the present state to what the manifest says (ManifestMessage()); that
  // may be empty.
  v1::ModelDetail DetailOf(const Model& model, v1::ModelDetail detail) const;
  // Models that are in RAM, on a device, on the way there, or leased.
  v1::ActiveList Active() const;
  v1::MemoryUse Memory() const;
  std::vector<std::string> notices() const { return notices_.texts(); }
  v1::CacheUsage Usage() const;
  std::vector<v1::DeviceState> Devices() const;
  // What to check models against: a known device, with the memory that is free on
  // it now, or a profile. kDeviceNotFound, kInvalidRequest.
  StatusOr<DeviceProfile> ProfileOf(const std::string& device) const;
  static v1::Placement PlacementMessage(const DevicePlacement& placement);

  static v1::Progress ProgressMessage(const ScanProgress& progress);

  std::vector<v1::Holder> HoldersOf(const LeaseTable::Holders& holders) const;
  // "pid 4711 (python serve.py), pid ..."; empty for no holder.
  std::string DescribeHolders(const LeaseTable::Holders& holders) const;

  // How far the model's components are: read bytes of all that a use of it has to read, or
  // that is read without one. Nothing when none is loading.
  std::optional<LoadProgress> ProgressOf(const Model& model) const;

  // What can still be placed on a device, in its default pool.
  ByteCount FreeMemoryOf(const DeviceId& device) const;

 private:
  // The other models that have the component, or one that holds the same entry.
  std::set<std::string> SharersOf(const Model& model, const ComponentId& component) const;
  // Whether any of it can be in RAM or on a device, or is held.
  bool MayBeActive(const Model& model) const;
  void AddComponentState(const Model& model, size_t index, v1::ComponentState& state) const;

  const ModelRegistry& registry_;
  const ComponentCache& cache_;
  const LeaseTable& leases_;
  DeviceService& devices_;
  const PathService& paths_;
  const ClaimResults& claims_;
  ModelUse& uses_;
  const Notices& notices_;
  const CacheStrategy default_strategy_;
  const ByteCount configured_limit_;
  struct Peer {
    os::PeerCredentials credentials;
    std::string client;
    std::string user;
  };
  std::map<SessionId, Peer> peers_;
};

}  // namespace warmset
