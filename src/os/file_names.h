// Names of files: symlinks, links to open files, and their exchange.
#pragma once

#include <string>

#include "base/status.h"

namespace warmset::os {

// Gives an open file, which may have no name yet, one more name on its filesystem.
// kIoError with EEXIST when the name is taken.
Status LinkFile(int fd, const std::string& path);

// A symlink with this text at a path that is free.
Status MakeSymlink(const std::string& text, const std::string& path);

// Gives what `from` names the name `to` instead. Who opens `to` meanwhile gets what
// it named before or what it names now. Both lie on one filesystem.
Status RenameOver(const std::string& from, const std::string& to);

// No error when there is no such name. Not for a folder.
Status RemoveName(const std::string& path);

// The path of what fd refers to, as the kernel knows it: one that led there when it was
// opened, seen from this process. kIoError where it has none.
StatusOr<std::string> NameOfDescriptor(int fd);

// Sets the permission bits of an open file or folder.
Status SetMode(int fd, unsigned mode);

}  // namespace warmset::os
