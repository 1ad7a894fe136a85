#include "daemon/home.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "os/file.h"

namespace warmset {

StatusOr<Home> OpenHome(const std::string& folder) {
  Home home;
  if (const Status made = os::MakePrivateDirectory(folder); !made.ok()) {
    std::error_code error;
    if (std::filesystem::exists(folder, error)) return made;
  } else if (auto lock = os::LockFile(folder + "/daemon.lock"); lock.ok()) {
    home.lock = *std::move(lock);
  } else if (CodeOf(lock.status()) == ErrorCode::kAlreadyRunning) {
    return lock.status();
  }
  ASSIGN_OR_RETURN(home.catalog, Catalog::OpenOrInMemory(folder + "/catalog.sqlite"));
  return home;
}

}  // namespace warmset
