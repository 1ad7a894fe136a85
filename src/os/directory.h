// Reading folders.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "os/file.h"

namespace warmset::os {

enum class FileType : uint8_t { kRegular, kDirectory, kSymlink, kOther };

struct DirectoryEntry {
  std::string name;
  FileType type = FileType::kOther;  // of the entry itself: a symlink is not followed
};

// The entries of an open folder without "." and "..", sorted by name.
StatusOr<std::vector<DirectoryEntry>> ListDirectory(int directory_fd);

struct PathStat {
  FileType type = FileType::kOther;  // never kSymlink
  FileIdentity identity;
};

// What name, relative to a folder, leads to; symlinks are followed.
// kFileNotFound for a broken one.
StatusOr<PathStat> StatAt(int directory_fd, const std::string& name);

// The text of a symlink; kIoError when name is none.
StatusOr<std::string> ReadLinkAt(int directory_fd, const std::string& name);

// The absolute path without symlinks, "." and "..".
StatusOr<std::string> CanonicalPath(const std::string& path);

}  // namespace warmset::os
