// What the daemon is configured to do, and where each value came from.
//
// Sources, each overriding the one before: the defaults below; warmset.toml;
// the environment ($WARMSET_SOCKET, $WARMSET_HOME);
// the flags of `warmset serve`. docs/configuration.md lists every key.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "daemon/disk_patience.h"
#include "daemon/preload_schedule.h"
#include "model/cache_strategy.h"

namespace warmset {

enum class OptionSource { kDefault, kFile, kEnvironment, kFlag };
// "default", "file", "environment", "flag".
std::string_view OptionSourceName(OptionSource source);

struct Options {
  struct Device {
    DeviceId id;
    std::optional<ByteCount> memory;  // nothing: as much as the RAM limit leaves
    std::string pool = "shared";      // where a load goes that names none; or "dedicated"
  };

  // Behaviour. Paths are absolute.
  std::string socket;
  std::string home;                // the catalog's folder
  std::string path_dir;            // where `warmset path` keeps files, on tmpfs
  std::vector<std::string> roots;  // folders that are scanned for models
  bool deep_scan = true;           // the folders below the roots too
  std::vector<std::string> extra_model_paths;  // files of ComfyUI whose folders are roots, too
  std::string inspect_program{};  // empty: warmset-inspect beside this program
  std::string worker_program{};    // empty: warmset-worker beside this program
  bool watch = true;               // rescan what inotify reports
  std::vector<Device> devices = {{.id = DeviceId("host:0"), .memory = {}}};
  std::vector<uid_t> allowed_uids;  // may connect beside the daemon's own

  // Resources.
  std::string ram_limit = "50%";  // a size or a share, see ResolveRamLimit
  ByteCount reserve{256 * kMiB};  // touched memory kept ready; counts within the RAM limit
  ByteCount keep_free{512 * kMiB};  // of the machine's memory, for others
  unsigned load_threads = 2;      // components that load at the same time
  CacheStrategy strategy = CacheStrategy::kSpeed;  // of models without one of their own
  std::string eviction = "ew3";   // which component leaves RAM first, see EvictionPolicyNames()

  // What is loaded before somebody asks for it.
  bool preload_companions = true;  // models that are usually used with one that is asked for
  bool preload_popular = true;     // what is likely to be used, into free memory
  std::vector<ScheduledPreload> preload_schedule;

  DiskPatience patience{};  // no key sets it: for tests

  std::string log_level = "info";  // trace, debug, info, warning or error

  std::string config_file;                      // the file that was read; empty: none
  std::map<std::string, OptionSource> sources;  // by key; absent: kDefault

  // kInvalidConfig that names the key.
  Status Validate() const;
};

// The bytes that Options::ram_limit stands for: a percentage is of the smaller
// of MemAvailable and what the cgroup's limit leaves, now. kInvalidConfig when
// the text is no size or comes to nothing.
StatusOr<ByteCount> ResolveRamLimit(const Options& options);

// What a daemon can't start with, though each setting is well-formed: roots that are no
// folders, a reserve above the limit. kInvalidConfig names the key and says what to do.
Status CheckForStart(const Options& options, ByteCount ram_limit);

// A variable of the environment, nothing when unset or empty.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> ProcessEnvironment(const std::string& name);

// What the command line gave: the values of each key, in their order.
struct OptionFlags {
  std::string config_file;  // --config
  std::map<std::string, std::vector<std::string>> values;
};

// All sources combined and validated. The file is --config, else
// $WARMSET_CONFIG (both must exist), else ~/.config/warmset/warmset.toml.
// kInvalidConfig names the flag, or file, line and column.
StatusOr<Options> LoadOptions(const OptionFlags& flags,
                              const Environment& environment = ProcessEnvironment);

struct OptionValue {
  std::string key;    // "models.roots"
  std::string value;  // as it would be written on the command line
  OptionSource source;
};
// Every key, in the order of the documentation.
std::vector<OptionValue> DescribeOptions(const Options& options);

}  // namespace warmset
