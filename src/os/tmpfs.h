// Files in memory that have names: a tmpfs.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "os/unique_fd.h"

namespace warmset::os {

// Whether what lies below the folder lies in memory.
bool IsTmpfs(const std::string& folder);

// What can still be written on the folder's filesystem. Containers often have 64 MiB.
StatusOr<ByteCount> FreeBytes(const std::string& folder);

// A new file of the folder's filesystem, open for reading and writing, which has no
// name until LinkFile() gives it one, and goes with its last descriptor.
StatusOr<UniqueFd> OpenUnnamed(const std::string& folder);

// Lets these users, beside the owner, enter and list the folder (a POSIX access list);
// none: the owner alone.
Status AllowUsers(const std::string& folder, const std::vector<uid_t>& users);

}  // namespace warmset::os
