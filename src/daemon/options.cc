#include "daemon/options.h"

#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <set>
#include <thread>
#include <utility>

#include "base/units.h"
#include "cache/eviction/eviction_policy.h"
#include "daemon/option_file.h"
#include "daemon/option_table.h"
#include "device/device.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "os/cgroup.h"
#include "os/file.h"
#include "os/system_memory.h"
#include "wire/socket_path.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFileBytes = kMiB;
constexpr std::array<std::string_view, 5> kLogLevels = {"trace", "debug", "info", "warning",
                                                        "error"};

Status InvalidKey(std::string_view key, std::string_view message) {
  return Error(ErrorCode::kInvalidConfig, fmt::format("{}: {}", key, message));
}

std::string HomeDirectory(const Environment& environment) {
  return environment("HOME").value_or("/");
}

// Absolute and without "." and ".."; "~" is the user's home.
std::string AbsolutePath(std::string_view text, const fs::path& base,
                         const Environment& environment) {
  fs::path path = text;
  if (text == "~" || text.starts_with("~/")) {
    path = HomeDirectory(environment) + std::string(text.substr(1));
  }
  std::string normal = (base / path).lexically_normal().string();
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

std::vector<std::string> DefaultRoots(const Environment& environment) {
  std::string hub = HomeDirectory(environment) + "/.cache/huggingface/hub";
  if (const auto home = environment("HF_HOME")) hub = *home + "/hub";
  if (const auto cache = environment("HF_HUB_CACHE")) hub = *cache;
  std::error_code error;
  const std::string root = AbsolutePath(hub, fs::current_path(error), environment);
  if (fs::is_directory(root, error)) return {root};
  return {};
}

// Which file to read; empty for none.
std::string OptionFilePath(const OptionFlags& flags, const Environment& environment) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (!flags.config_file.empty()) return AbsolutePath(flags.config_file, here, environment);
  if (const auto named = environment("WARMSET_CONFIG")) {
    return AbsolutePath(*named, here, environment);
  }
  const std::string usual = HomeDirectory(environment) + "/.config/warmset/warmset.toml";
  return fs::exists(usual, error) ? usual : "";
}

class Loader {
 public:
  explicit Loader(const Environment& environment) : environment_(environment) {
    options_.socket = wire::SocketPath();
    options_.home = HomeDirectory(environment) + "/.local/share/warmset";
    options_.path_dir = fmt::format("/dev/shm/warmset-{}", ::geteuid());
    options_.roots = DefaultRoots(environment);
  }

  Status ApplyFile(const std::string& path) {
    ASSIGN_OR_RETURN(const std::string content, os::ReadSmallFile(path, kMaxFileBytes));
    ASSIGN_OR_RETURN(const std::vector<FileValue> values, ParseOptionFile(content, path));
    for (const FileValue& value : values) {
      RETURN_IF_ERROR(Apply(value.key, value.texts, OptionSource::kFile,
                            fs::path(path).parent_path(),
                            fmt::format("{}: {}", value.place, value.key)));
    }
    options_.config_file = path;
    return OkStatus();
  }

  Status ApplyVariable(const std::string& name, const std::string& key) {
    const auto value = environment_(name);
    if (!value) return OkStatus();
    return Apply(key, {*value}, OptionSource::kEnvironment, Here(), "$" + name);
  }

  Status ApplyFlags(const OptionFlags& flags) {
    for (const auto& [key, texts] : flags.values) {
      const OptionRow* const row = FindOption(key);
      RETURN_IF_ERROR(Apply(key, texts, OptionSource::kFlag, Here(),
                            row != nullptr ? std::string(row->flag) : key));
    }
    return OkStatus();
  }

  Options Take() { return std::move(options_); }

 private:
  static fs::path Here() {
    std::error_code error;
    return fs::current_path(error);
  }

  Status Apply(const std::string& key, std::vector<std::string> texts, OptionSource source,
               const fs::path& base, const std::string& place) {
    const OptionRow* const row = FindOption(key);
    if (row == nullptr || (texts.empty() && !IsList(row->shape))) {
      return Error(ErrorCode::kInvalidConfig, place + ": no such setting, or no value");
    }
    if (row->shape == OptionShape::kPath || row->shape == OptionShape::kPaths) {
      for (std::string& text : texts) {
        if (text.empty()) return Error(ErrorCode::kInvalidConfig, place + ": the path is empty");
        text = AbsolutePath(text, base, environment_);
      }
    }
    RETURN_IF_ERROR(Annotate(row->set(options_, texts), place));
    options_.sources[key] = source;
    return OkStatus();
  }

  const Environment& environment_;
  Options options_;
};

bool IsDeviceId(std::string_view id) {
  const size_t colon = id.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon + 1 == id.size()) return false;
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::all_of(id.begin(), id.begin() + static_cast<ptrdiff_t>(colon), is_lower) &&
         std::all_of(id.begin() + static_cast<ptrdiff_t>(colon) + 1, id.end(), is_digit);
}

Status ValidateDevices(const std::vector<Options::Device>& devices) {
  if (devices.empty()) return InvalidKey("device", "at least one device is needed");
  std::set<DeviceId> seen;
  for (const Options::Device& device : devices) {
    const std::string& id = device.id.value();
    if (!IsDeviceId(id)) {
      return InvalidKey("device", fmt::format("'{}' is not backend:number, as in host:0", id));
    }
    const auto backends = DeviceBackends();
    const std::string backend = id.substr(0, id.find(':'));
    if (std::find(backends.begin(), backends.end(), backend) == backends.end()) {
      return InvalidKey("device", fmt::format("'{}': there is no device backend '{}'; this version "
                                              "has {}",
                                              id, backend, fmt::join(backends, ", ")));
    }
    if (!seen.insert(device.id).second) {
      return InvalidKey("device", fmt::format("{} is given twice", id));
    }
    if (device.pool != "shared" && device.pool != "dedicated") {
      return InvalidKey("device", fmt::format("the pool of {} is 'shared' or 'dedicated', not '{}'",
                                              id, device.pool));
    }
    if (device.memory == ByteCount(0)) {
      return InvalidKey("device", fmt::format("{} has no memory", id));
    }
  }
  return OkStatus();
}

// Nothing where a daemon can start with it: a drive that is away, or a server that does not
// answer, may come later.
std::string WrongWithRoot(const std::string& root, bool typed) {
  constexpr std::chrono::seconds kPatience{3};
  std::promise<std::string> answer;
  std::future<std::string> what = answer.get_future();
  // Left behind where the disk does not answer.
  std::thread([root, answer = std::move(answer)]() mutable {
    std::error_code error;
    if (fs::is_directory(root, error)) return answer.set_value("");
    answer.set_value(fs::exists(root, error) ? "is no folder" : "does not exist");
  }).detach();
  if (what.wait_for(kPatience) != std::future_status::ready) return "";
  const std::string wrong = what.get();
  return wrong == "does not exist" && !typed ? "" : wrong;
}

}  // namespace

std::string_view OptionSourceName(OptionSource source) {
  switch (source) {
    case OptionSource::kDefault:
      return "default";
    case OptionSource::kFile:
      return "file";
    case OptionSource::kEnvironment:
      return "environment";
    case OptionSource::kFlag:
      return "flag";
  }
  return "";
}

Status Options::Validate() const {
  constexpr size_t kMaxSocketPath = sizeof(sockaddr_un{}.sun_path) - 1;
  if (!socket.starts_with('/') || socket.size() > kMaxSocketPath) {
    return InvalidKey("socket", fmt::format("'{}' is not an absolute path of at most {} bytes",
                                            socket, kMaxSocketPath));
  }
  if (!home.starts_with('/')) {
    return InvalidKey("home", fmt::format("'{}' is not an absolute path", home));
  }
  if (!path_dir.starts_with('/')) {
    return InvalidKey("path_dir", fmt::format("'{}' is not an absolute path", path_dir));
  }
  for (const std::string& root : roots) {
    if (!root.starts_with('/')) {
      return InvalidKey("models.roots", fmt::format("'{}' is not an absolute path", root));
    }
  }
  if (load_threads < 1 || load_threads > 64) {
    return InvalidKey("memory.load_threads", "takes 1 to 64");
  }
  if (const auto policy = MakeEvictionPolicy(eviction, 0); !policy.ok()) {
    return InvalidKey("memory.eviction", Message(policy.status()));
  }
  if (std::find(kLogLevels.begin(), kLogLevels.end(), log_level) == kLogLevels.end()) {
    return InvalidKey("log_level",
                      fmt::format("'{}' is not trace, debug, info, warning or error", log_level));
  }
  return ValidateDevices(devices);
}

Status CheckForStart(const Options& options, ByteCount ram_limit) {
  const auto source = options.sources.find("models.roots");
  const bool typed = source != options.sources.end() && source->second == OptionSource::kFlag;
  for (const std::string& root : options.roots) {
    const std::string wrong = WrongWithRoot(root, typed);
    if (wrong.empty()) continue;
    return InvalidKey(
        "models.roots",
        fmt::format("{} {}; give a folder with models (`--root DIR`), or create it", root, wrong));
  }
  // The default gives way to a small limit by itself.
  if (options.sources.contains("memory.reserve") && options.reserve > ram_limit) {
    const auto sizes = FormatSizes({options.reserve, ram_limit});
    return InvalidKey("memory.reserve",
                      fmt::format("{} are more than the RAM limit of {} that it is a part of; give "
                                  "less, or raise `--ram-limit`",
                                  sizes[0], sizes[1]));
  }
  return OkStatus();
}

StatusOr<ByteCount> ResolveRamLimit(const Options& options) {
  ASSIGN_OR_RETURN(const ByteCount available, os::AvailableMemory());
  const ByteCount whole = std::min(available, os::CgroupHeadroom());
  auto limit = ParseSize(options.ram_limit, whole);
  if (!limit.ok()) return Annotate(limit.status(), "memory.ram_limit");
  if (*limit == ByteCount(0)) {
    return InvalidKey("memory.ram_limit",
                      fmt::format("'{}' comes to nothing; {} of memory are available",
                                  options.ram_limit, FormatSize(whole)));
  }
  return limit;
}

std::optional<std::string> ProcessEnvironment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

StatusOr<Options> LoadOptions(const OptionFlags& flags, const Environment& environment) {
  Loader loader(environment);
  if (const std::string path = OptionFilePath(flags, environment); !path.empty()) {
    RETURN_IF_ERROR(loader.ApplyFile(path));
  }
  RETURN_IF_ERROR(loader.ApplyVariable("WARMSET_SOCKET", "socket"));
  RETURN_IF_ERROR(loader.ApplyVariable("WARMSET_HOME", "home"));
  RETURN_IF_ERROR(loader.ApplyFlags(flags));
  Options options = loader.Take();
  RETURN_IF_ERROR(options.Validate());
  return options;
}

std::vector<OptionValue> DescribeOptions(const Options& options) {
  std::vector<OptionValue> values;
  for (const OptionRow& row : OptionTable()) {
    const std::string key(row.key);
    const auto source = options.sources.find(key);
    values.push_back({key, row.print(options),
                      source == options.sources.end() ? OptionSource::kDefault : source->second});
  }
  return values;
}

}  // namespace warmset
