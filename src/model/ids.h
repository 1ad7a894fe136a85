// Ids that every room shares.
#pragma once

#include <cstdint>
#include <string>

#include "base/digest.h"
#include "base/strong.h"

namespace warmset {

// Names one state of a model's files: the digest of their names and identities. The same
// type as catalog/catalog.h declares, until that includes this header.
using RevisionId = Digest128<struct RevisionIdTag>;

// A component's bytes at one place in one form, from the promise of its memory to the
// release. Never given twice, so the id of an earlier placement names nothing else.
using PlacementId = Strong<struct PlacementIdTag, uint64_t>;
// One session's hold on one placement.
using LeaseId = Strong<struct LeaseIdTag, uint64_t>;
// One connection of a client.
using SessionId = Strong<struct SessionIdTag, uint64_t>;
// One request of a client that awaits an answer. 0: none.
using RequestId = Strong<struct RequestIdTag, uint64_t>;

// Where components can be: "ram", or a device by its DeviceId.
using PlaceId = Strong<struct PlaceIdTag, std::string>;
inline PlaceId Ram() { return PlaceId("ram"); }
inline PlaceId PlaceOf(const DeviceId& device) { return PlaceId(device.value()); }

}  // namespace warmset
