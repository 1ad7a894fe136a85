#include "daemon/option_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "base/nearest.h"
#include "base/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

using Texts = std::vector<std::string>;

Status Invalid(std::string_view message) { return Error(ErrorCode::kInvalidConfig, message); }

template <typename Integer>
StatusOr<Integer> ParseInteger(std::string_view text) {
  Integer value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) {
    return Invalid(fmt::format("'{}' is not a whole number from 0 on", text));
  }
  return value;
}

StatusOr<bool> ParseSwitch(std::string_view text, std::string_view yes, std::string_view no) {
  if (text == yes) return true;
  if (text == no) return false;
  return Invalid(fmt::format("'{}' is neither {} nor {}", text, yes, no));
}

// A small number without a unit is one whose unit was forgotten. 0 means none.
Status CheckUnit(std::string_view text) {
  constexpr uint64_t kLeastBytes = 64 * kMiB;
  const auto bytes = ParseInteger<uint64_t>(text);
  if (!bytes.ok() || *bytes == 0 || *bytes >= kLeastBytes) return OkStatus();
  return Invalid(
      fmt::format("'{0}' has no unit and would be {0} bytes; write {0}GiB or {0}MiB", text));
}

// Our name for a policy that was named in the words of others.
std::string EvictionName(std::string_view text) {
  std::string name = LowerCase(text);
  std::replace(name.begin(), name.end(), '-', '_');
  if (name == "least_recently_used") return "lru";
  if (name == "least_frequently_used") return "lfu";
  return name;
}

// A size that is no share of anything.
StatusOr<ByteCount> ParseBytes(std::string_view text) {
  if (text.ends_with('%')) {
    return Invalid(fmt::format("'{}' is a share; write a size, as in 512MiB", text));
  }
  RETURN_IF_ERROR(CheckUnit(text));
  return ParseSize(text, ByteCount());
}

// The shortest text that reads back as the same size.
std::string PrintBytes(ByteCount bytes) {
  constexpr std::array kUnits = {std::pair{kGiB, "GiB"}, std::pair{kMiB, "MiB"},
                                 std::pair{kKiB, "KiB"}};
  for (const auto& [unit, name] : kUnits) {
    if (bytes.value() > 0 && bytes.value() % unit == 0) {
      return fmt::format("{}{}", bytes.value() / unit, name);
    }
  }
  return fmt::format("{}", bytes.value());
}

constexpr std::array kTable = {
    OptionRow{"socket", "--socket", "PATH", "Unix socket to listen on", OptionShape::kPath,
              [](Options& options, const Texts& texts) {
                options.socket = texts[0];
                return OkStatus();
              },
              [](const Options& options) { return options.socket; }},
    OptionRow{"home", "--home", "DIR", "folder of the catalog", OptionShape::kPath,
              [](Options& options, const Texts& texts) {
                options.home = texts[0];
                return OkStatus();
              },
              [](const Options& options) { return options.home; }},
    OptionRow{"path_dir", "--path-dir", "DIR",
              "folder on tmpfs for the files that `warmset path` prints", OptionShape::kPath,
              [](Options& options, const Texts& texts) {
                options.path_dir = texts[0];
                return OkStatus();
              },
              [](const Options& options) { return options.path_dir; }},
    OptionRow{
        "models.roots", "--root", "DIR", "folder with models; may be repeated", OptionShape::kPaths,
        [](Options& options, const Texts& texts) {
          options.roots = texts;
          return OkStatus();
        },
        [](const Options& options) { return fmt::format("{}", fmt::join(options.roots, ", ")); }},
    OptionRow{
        "models.scan_depth", "--scan-depth", "deep|shallow",
        "scan the folders below the roots too, or only the roots", OptionShape::kText,
        [](Options& options, const Texts& texts) {
          ASSIGN_OR_RETURN(options.deep_scan, ParseSwitch(texts[0], "deep", "shallow"));
          return OkStatus();
        },
        [](const Options& options) { return std::string(options.deep_scan ? "deep" : "shallow"); }},
    OptionRow{"discover.extra_model_paths", "--comfyui-paths", "FILE",
              "ComfyUI's extra_model_paths.yaml, whose folders are roots too; may be repeated",
              OptionShape::kPaths,
              [](Options& options, const Texts& texts) {
                options.extra_model_paths = texts;
                return OkStatus();
              },
              [](const Options& options) {
                return fmt::format("{}", fmt::join(options.extra_model_paths, ", "));
              }},
    OptionRow{"models.watch", "--watch", "on|off", "notice changes below the roots at once",
              OptionShape::kBoolean,
              [](Options& options, const Texts& texts) {
                ASSIGN_OR_RETURN(options.watch, ParseSwitch(texts[0], "on", "off"));
                return OkStatus();
              },
              [](const Options& options) { return std::string(options.watch ? "on" : "off"); }},
    OptionRow{"memory.ram_limit", "--ram-limit", "SIZE",
              "RAM for models: 8GiB, 12GB, or a share such as 50% of what is available at start",
              OptionShape::kSize,
              [](Options& options, const Texts& texts) {
                // The value itself is resolved at start; only its form is checked here.
                RETURN_IF_ERROR(ParseSize(texts[0], ByteCount(kGiB)).status());
                RETURN_IF_ERROR(CheckUnit(texts[0]));
                options.ram_limit = texts[0];
                return OkStatus();
              },
              [](const Options& options) { return options.ram_limit; }},
    OptionRow{"memory.reserve", "--reserve", "SIZE",
              "memory within the limit that is kept ready for the next load; 0 for none",
              OptionShape::kSize,
              [](Options& options, const Texts& texts) {
                ASSIGN_OR_RETURN(options.reserve, ParseBytes(texts[0]));
                return OkStatus();
              },
              [](const Options& options) { return PrintBytes(options.reserve); }},
    OptionRow{"memory.keep_free", "--keep-free", "SIZE",
              "memory of the machine that is left to others: where less is free, models leave RAM",
              OptionShape::kSize,
              [](Options& options, const Texts& texts) {
                ASSIGN_OR_RETURN(options.keep_free, ParseBytes(texts[0]));
                return OkStatus();
              },
              [](const Options& options) { return PrintBytes(options.keep_free); }},
    OptionRow{"memory.load_threads", "--load-threads", "N", "how many components load at a time",
              OptionShape::kInteger,
              [](Options& options, const Texts& texts) {
                ASSIGN_OR_RETURN(options.load_threads, ParseInteger<unsigned>(texts[0]));
                return OkStatus();
              },
              [](const Options& options) { return fmt::format("{}", options.load_threads); }},
    OptionRow{"memory.strategy", "--strategy", "STRATEGY",
              "how models are kept in RAM: speed (raw), memory (compressed), balanced (compressed "
              "when not in use) or adaptive",
              OptionShape::kText,
              [](Options& options, const Texts& texts) {
                const auto strategy = CacheStrategyFromName(texts[0]);
                if (!strategy) {
                  return Invalid(fmt::format("'{}' is not {}", texts[0],
                                             fmt::join(kCacheStrategyNames, ", ")));
                }
                options.strategy = *strategy;
                return OkStatus();
              },
              [](const Options& options) {
                return std::string(CacheStrategyName(options.strategy));
              }},
    OptionRow{"memory.eviction", "--eviction", "POLICY",
              "which component leaves RAM first: ew3, adaptive, lru, lfu, gdsf, s3fifo or sieve",
              OptionShape::kText,
              [](Options& options, const Texts& texts) {
                options.eviction = EvictionName(texts[0]);
                return OkStatus();
              },
              [](const Options& options) { return options.eviction; }},
    OptionRow{"preload.companions", "--preload-companions", "on|off",
              "load what is usually used with a model when that is asked for",
              OptionShape::kBoolean,
              [](Options& options, const Texts& texts) {
                ASSIGN_OR_RETURN(options.preload_companions, ParseSwitch(texts[0], "on", "off"));
                return OkStatus();
              },
              [](const Options& options) {
                return std::string(options.preload_companions ? "on" : "off");
              }},
    OptionRow{
        "preload.popular", "--preload-popular", "on|off",
        "load into free memory what is likely to be used", OptionShape::kBoolean,
        [](Options& options, const Texts& texts) {
          ASSIGN_OR_RETURN(options.preload_popular, ParseSwitch(texts[0], "on", "off"));
          return OkStatus();
        },
        [](const Options& options) { return std::string(options.preload_popular ? "on" : "off"); }},
    OptionRow{"preload.schedule", "--preload-at", "'TIME MODEL'",
              "load a model at these times, as in '30 8 * * mon-fri sdxl'; may be repeated",
              OptionShape::kTexts,
              [](Options& options, const Texts& texts) {
                std::vector<ScheduledPreload> schedule;
                for (const std::string& text : texts) {
                  ASSIGN_OR_RETURN(schedule.emplace_back(), ScheduledPreload::Parse(text));
                }
                options.preload_schedule = std::move(schedule);
                return OkStatus();
              },
              [](const Options& options) {
                Texts texts;
                for (const ScheduledPreload& item : options.preload_schedule) {
                  texts.push_back(item.text);
                }
                return fmt::format("{}", fmt::join(texts, "; "));
              }},
    OptionRow{"device", "--device", "ID[,memory=SIZE][,pool=POOL]",
              "device to load on, such as host:0,memory=4GiB,pool=dedicated; may be repeated",
              OptionShape::kDevices,
              [](Options& options, const Texts& texts) {
                std::vector<Options::Device> devices;
                for (const std::string& text : texts) {
                  ASSIGN_OR_RETURN(devices.emplace_back(), ParseDevice(text));
                }
                options.devices = std::move(devices);
                return OkStatus();
              },
              [](const Options& options) {
                Texts texts;
                for (const Options::Device& device : options.devices) {
                  texts.push_back(PrintDevice(device));
                }
                return fmt::format("{}", fmt::join(texts, " "));
              }},
    OptionRow{"access.uids", "--allow-uid", "UID",
              "user id that may connect too (containers); may be repeated", OptionShape::kIntegers,
              [](Options& options, const Texts& texts) {
                std::vector<uid_t> uids;
                for (const std::string& text : texts) {
                  ASSIGN_OR_RETURN(uids.emplace_back(), ParseInteger<uid_t>(text));
                }
                options.allowed_uids = std::move(uids);
                return OkStatus();
              },
              [](const Options& options) {
                return fmt::format("{}", fmt::join(options.allowed_uids, ", "));
              }},
    OptionRow{"log_level", "--log-level", "LEVEL", "trace, debug, info, warning or error",
              OptionShape::kText,
              [](Options& options, const Texts& texts) {
                options.log_level = texts[0];
                return OkStatus();
              },
              [](const Options& options) { return options.log_level; }},
};

// Levenshtein's distance.
size_t Edits(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

bool IsList(OptionShape shape) {
  return shape == OptionShape::kTexts || shape == OptionShape::kPaths ||
         shape == OptionShape::kIntegers || shape == OptionShape::kDevices;
}

std::span<const OptionRow> OptionTable() { return kTable; }

const OptionRow* FindOption(std::string_view key) {
  const auto row = std::find_if(kTable.begin(), kTable.end(),
                                [&](const OptionRow& candidate) { return candidate.key == key; });
  return row == kTable.end() ? nullptr : &*row;
}

StatusOr<Options::Device> ParseDevice(std::string_view text) {
  size_t comma = text.find(',');
  Options::Device device;
  device.id = DeviceId(std::string(text.substr(0, comma)));
  while (comma != std::string_view::npos) {
    text.remove_prefix(comma + 1);
    comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    if (item.starts_with("memory=")) {
      ASSIGN_OR_RETURN(device.memory, ParseBytes(item.substr(7)));
    } else if (item.starts_with("pool=")) {
      device.pool = item.substr(5);
    } else {
      return Invalid(fmt::format(
          "'{}' is neither memory=SIZE nor pool=POOL; as in host:0,memory=4GiB,pool=dedicated",
          item));
    }
  }
  return device;
}

std::string PrintDevice(const Options::Device& device) {
  const std::string memory = device.memory ? ",memory=" + PrintBytes(*device.memory) : "";
  return fmt::format("{}{},pool={}", device.id.value(), memory, device.pool);
}

std::string_view NearestTo(std::string_view text, std::span<const std::string_view> candidates) {
  const auto distance = [text](std::string_view candidate) {
    return candidate.find(text) == std::string_view::npos ? Edits(text, candidate) : 0;
  };
  return *std::min_element(
      candidates.begin(), candidates.end(),
      [&](std::string_view a, std::string_view b) { return distance(a) < distance(b); });
}

}  // namespace warmset
