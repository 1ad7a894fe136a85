// The daemon's own folder: its lock and its catalog.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "catalog/catalog.h"
#include "os/unique_fd.h"

namespace warmset {

struct Home {
  os::UniqueFd lock;  // none where the folder can't be written to
  std::unique_ptr<Catalog> catalog;
};

// Makes the folder if need be. One that can't be made or written to (read-only, full) is
// done without: then the catalog is in memory, and its notice says so. kAlreadyRunning
// when another daemon has the folder, kPermissionDenied when it is not this user's own.
StatusOr<Home> OpenHome(const std::string& folder);

}  // namespace warmset
