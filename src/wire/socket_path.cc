#include "wire/socket_path.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "fmt/format.h"
#include "os/file.h"

namespace warmset::wire {
namespace {

std::optional<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::string FolderOf(const std::string& socket_path) {
  return std::filesystem::path(socket_path).parent_path();
}

// Whether the path is one that SocketPath() makes up, not one the user named.
bool IsChosenByRule(const std::string& socket_path) {
  return !Variable("WARMSET_SOCKET") && socket_path == SocketPath();
}

}  // namespace

std::string SocketPath() {
  if (const auto path = Variable("WARMSET_SOCKET")) return *path;
  if (const auto runtime = Variable("XDG_RUNTIME_DIR")) return *runtime + "/warmset/warmset.sock";
  return fmt::format("/tmp/warmset-{}/warmset.sock", ::geteuid());
}

Status PrepareSocketFolder(const std::string& socket_path) {
  if (!IsChosenByRule(socket_path)) return OkStatus();
  return os::MakePrivateDirectory(FolderOf(socket_path));
}

Status CheckSocketFolder(const std::string& socket_path) {
  if (!IsChosenByRule(socket_path)) return OkStatus();
  const Status checked = os::CheckPrivateDirectory(FolderOf(socket_path));
  // No folder, no daemon: connecting says so.
  return CodeOf(checked) == ErrorCode::kFileNotFound ? OkStatus() : checked;
}

}  // namespace warmset::wire
