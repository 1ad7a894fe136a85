// The files that a component is read from.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "inspect/manifest.h"
#include "os/file.h"
#include "os/unique_fd.h"

namespace warmset {

struct SourceFile {
  std::string path;
  os::FileIdentity identity;  // under which its header was read
  // A descriptor that a client passed, read instead of opening the path.
  std::shared_ptr<const os::UniqueFd> passed;
};

}  // namespace warmset
