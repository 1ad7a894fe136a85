#include "discover/root_state.h"

#include "os/directory.h"
#include "os/file.h"
#include "os/mounts.h"

namespace warmset {

RootState LookAtRoot(const std::string& path) {
  RootState state;
  state.mounts = os::MountsBelow(path).value_or(std::vector<std::string>());
  const auto fd = os::OpenDirectory(path);
  const auto identity = fd.ok() ? os::Identify(fd->get()) : fd.status();
  if (!identity.ok()) return state;
  state.there = true;
  state.device = identity->device;
  state.inode = identity->inode;
  return state;
}

}  // namespace warmset
