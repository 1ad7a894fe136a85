#include "render.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "base/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset::cli {
namespace {

// Where the bytes are in RAM; empty for not at all.
std::string InRam(v1::CacheState state, uint64_t cached, uint64_t bytes,
                  const v1::Progress* progress) {
  switch (state) {
    case v1::CACHED:
      return "ram";
    case v1::PARTLY_CACHED:
      return fmt::format("ram {}%", Percent(cached, bytes));
    case v1::CACHING:
      if (progress == nullptr || progress->total() == 0) return "caching";
      return fmt::format("caching {}%", Percent(progress->done(), progress->total()));
    default:
      return "";
  }
}

std::string WithDevices(std::string where,
                        const google::protobuf::RepeatedPtrField<v1::PlacedOn>& devices) {
  for (const v1::PlacedOn& placed : devices) {
    where += (where.empty() ? "" : "+") + placed.device();
  }
  return where.empty() ? "disk" : where;
}

// "compressed", or what part of it is, where not all of it is raw.
std::string Form(uint64_t raw_bytes, uint64_t compressed_bytes) {
  if (compressed_bytes == 0) return "";
  return raw_bytes == 0 ? " compressed" : " raw+compressed";
}

std::string MemoryLine(const v1::MemoryUse& memory) {
  const uint64_t used = memory.entries() + memory.compressed() + memory.loading() +
                        memory.reserve() + memory.orphaned() + memory.uncached_but_mapped();
  std::vector<std::string> parts;
  const auto add = [&parts](uint64_t bytes, std::string_view what) {
    if (bytes > 0) parts.push_back(fmt::format("{} {}", Size(bytes), what));
  };
  add(memory.entries(), "cached");
  add(memory.compressed(), "compressed");
  add(memory.loading(), "loading");
  add(memory.reserve(), "reserve");
  add(memory.uncached_but_mapped(), "uncached, still mapped");
  add(memory.orphaned(), "mapped from an earlier daemon");
  const std::string lowered =
      memory.limit() < memory.configured_limit()
          ? fmt::format(" (lowered from {}, memory is short)", Size(memory.configured_limit()))
          : "";
  return fmt::format("RAM {} of {}{}{}{}\n", Size(used), Size(memory.limit()), lowered,
                     parts.empty() ? "" : ": ", fmt::join(parts, ", "));
}

// "/usr/bin/python3 /srv/app/main.py" as "python3 main.py".
std::string WithoutFolders(const std::string& command) {
  std::string shorter;
  size_t word = 0;  // where the present one begins in `shorter`
  for (const char c : command) {
    if (c == '/') {
      shorter.resize(word);
      continue;
    }
    shorter.push_back(c);
    if (c == ' ') word = shorter.size();
  }
  return shorter;
}

}  // namespace

std::string Seconds(double seconds) {
  return FormatDuration(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds)));
}

int Percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return 0;
  return static_cast<int>(100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Size(uint64_t bytes) { return FormatSize(ByteCount(bytes)); }

std::string ShortId(const std::string& id) { return id.substr(0, kShortIdDigits); }

std::string Where(const v1::ModelState& state, const v1::Progress* progress) {
  std::string where =
      WithDevices(InRam(state.cache_state(), state.cached_bytes(), state.bytes(), progress) +
                      Form(state.raw_bytes(), state.compressed_bytes()),
                  state.devices());
  const bool told = !state.verdict().empty() && state.verdict() != "ok";
  if (!state.error_code().empty() && !told) where += fmt::format(" ({})", state.error_code());
  return where;
}

std::string Ago(int64_t unix_ms, int64_t now_unix_ms) {
  if (unix_ms == 0) return "never";
  const std::chrono::milliseconds age(std::max<int64_t>(now_unix_ms - unix_ms, 0));
  return FormatDuration(age) + " ago";
}

std::string HeldBy(const google::protobuf::RepeatedPtrField<v1::Holder>& holders, Holders form) {
  constexpr int kShown = 2;
  constexpr size_t kCommandColumns = 28;
  const bool short_form = form == Holders::kShort;
  std::vector<std::string> texts;
  for (const v1::Holder& holder : holders) {
    if (short_form && texts.size() == kShown) break;
    const std::string command =
        short_form ? ShortenMiddle(Printable(WithoutFolders(holder.command())), kCommandColumns)
                   : holder.command();
    texts.push_back(fmt::format("{} {}", holder.pid(), command));
    if (holder.leases() > 1) texts.back() += fmt::format(" ({})", holder.leases());
  }
  if (short_form && holders.size() > kShown) {
    texts.push_back(fmt::format("+{} more", holders.size() - kShown));
  }
  return fmt::format("{}", fmt::join(texts, "; "));
}

std::string StrategyLine(const v1::ModelState& state) {
  std::string line = state.strategy();
  const v1::CacheSettings& settings = state.settings();
  if (settings.pinned()) line += ", pinned";
  if (!settings.priority().empty()) line += fmt::format(", {} priority", settings.priority());
  if (settings.keep_seconds() > 0) {
    line += ", kept " + FormatDuration(std::chrono::seconds(settings.keep_seconds()));
  }
  return line;
}

std::string RenderScan(const v1::ScanStatus& scan) {
  const std::string read =
      scan.total() > 0 ? fmt::format(", {} of {} new ones read", scan.done(), scan.total()) : "";
  return fmt::format("A scan is under way: {} files seen{}; there may be more models.\n",
                     scan.files(), read);
}

std::string RenderNotices(const google::protobuf::RepeatedPtrField<std::string>& notices,
                          const Screen& screen) {
  std::string text;
  for (const std::string& notice : notices) {
    text += fmt::format("{} {}\n", screen.style.Yellow("notice:"), Printable(notice));
  }
  return text;
}

std::string RenderActive(const v1::ActiveList& active, const Screen& screen) {
  const bool any_shared =
      std::any_of(active.models().begin(), active.models().end(),
                  [](const v1::ActiveModel& model) { return model.shared_with_size() > 0; });
  std::vector<Table::Column> columns = {{.title = "NAME"},
                                        {.title = "ID", .leaves = 1},
                                        {.title = "SIZE", .right = true, .leaves = 3},
                                        {.title = "IN RAM", .right = true},
                                        {.title = "WHERE"},
                                        {.title = "STRATEGY", .leaves = 2},
                                        {.title = "HELD BY", .shrinks = true},
                                        {.title = "LAST USED", .leaves = 4}};
  if (any_shared) columns.push_back({.title = "SHARED WITH", .shrinks = true});
  Table table(columns);
  for (const v1::ActiveModel& model : active.models()) {
    const v1::ModelState& state = model.state();
    std::vector<std::string> row = {
        state.name(),
        ShortId(state.id()),
        Size(state.bytes()),
        Size(state.raw_bytes() + state.compressed_bytes()),
        Where(state, model.has_progress() ? &model.progress() : nullptr),
        StrategyLine(state),
        HeldBy(model.holders(), Holders::kShort),
        Ago(state.last_used_unix_ms(), screen.now_unix_ms)};
    if (any_shared) row.push_back(fmt::format("{}", fmt::join(model.shared_with(), ", ")));
    table.AddRow(row);
  }
  return table.Render(screen) + MemoryLine(active.memory()) +
         RenderNotices(active.notices(), screen);
}

uint64_t BytesBesideComponents(const v1::ModelDetail& detail) {
  uint64_t components = 0;
  for (const v1::ComponentState& component : detail.components()) {
    if (component.cache_state() != v1::CACHED) continue;
    components += component.raw_bytes() + component.compressed_bytes();
  }
  const uint64_t all = detail.state().raw_bytes() + detail.state().compressed_bytes();
  return all - std::min(all, components);
}

std::string RenderComponents(const v1::ModelDetail& detail, const Screen& screen) {
  Table table({{.title = "COMPONENT"},
               {.title = "TYPE", .leaves = 2},
               {.title = "ID", .leaves = 1},
               {.title = "SIZE", .right = true},
               {.title = "IN RAM", .right = true, .leaves = 5},
               {.title = "TENSORS", .right = true, .leaves = 4},
               {.title = "DTYPES", .shrinks = true},
               {.title = "WHERE"},
               {.title = "HUGE PAGES", .right = true, .leaves = 3},
               {.title = "LEASES", .right = true, .leaves = 6},
               {.title = "SHARED WITH", .shrinks = true}});
  for (const v1::ComponentState& component : detail.components()) {
    std::vector<std::string> dtypes;
    for (const auto& [dtype, bytes] : std::map<std::string, uint64_t>(
             component.dtype_bytes().begin(), component.dtype_bytes().end())) {
      dtypes.push_back(fmt::format("{} {}", dtype, Size(bytes)));
      const auto share = component.compressed_dtypes().find(dtype);
      if (share == component.compressed_dtypes().end()) continue;
      dtypes.back() +=
          fmt::format(" ({:.2f}:1)", static_cast<double>(share->second.raw_bytes()) /
                                         static_cast<double>(share->second.compressed_bytes()));
    }
    const bool cached = component.cache_state() == v1::CACHED;
    table.AddRow(
        {component.name(), component.type(), ShortId(component.id()), Size(component.bytes()),
         cached ? Size(component.raw_bytes() + component.compressed_bytes()) : "",
         fmt::format("{}", component.tensors()), fmt::format("{}", fmt::join(dtypes, ", ")),
         WithDevices(InRam(component.cache_state(), 0, 0, nullptr) +
                         Form(component.raw_bytes(), component.compressed_bytes()),
                     component.devices()),
         cached ? fmt::format("{}%", Percent(component.huge_page_bytes(), component.bytes())) : "",
         fmt::format("{}", component.leases()),
         fmt::format("{}", fmt::join(component.shared_with(), ", "))});
  }
  if (const uint64_t beside = BytesBesideComponents(detail); beside > 0) {
    table.AddRow({"(files by path)", "", "", Size(beside), Size(beside), "", "", "ram", "", "", ""});
  }
  return table.Render(screen);
}

std::string RenderWorkerView(const std::string& device, const v1::WorkerStateReply& worker,
                             const v1::ModelDetail& detail, const Screen& screen) {
  std::map<std::string, std::string> names;
  for (const v1::ComponentState& component : detail.components()) {
    names[component.id()] = component.name();
  }
  Table table({{.title = "COMPONENT"},
               {.title = "POOL"},
               {.title = "SIZE", .right = true},
               {.title = "PHASE"}});
  bool any = false;
  for (const v1::Placement& placement : worker.placements()) {
    const auto name = names.find(placement.component_id());
    if (name == names.end()) continue;
    any = true;
    table.AddRow({name->second, placement.pool(), Size(placement.bytes()), placement.phase()});
  }
  const std::string verdict = worker.equal_to_mirror()
                                  ? screen.style.Green("the daemon says the same")
                                  : screen.style.Red("the daemon says OTHERWISE");
  return fmt::format("Worker of {}, after {} changes: {}\n{}", Printable(device), worker.revision(),
                     verdict, any ? table.Render(screen) : "it holds nothing of this model\n");
}

std::string RenderDevices(const v1::DaemonStatus& status, const Screen& screen) {
  Table table({{.title = "DEVICE"},
               {.title = "NAME", .shrinks = true},
               {.title = "WORKER"},
               {.title = "PID", .right = true, .leaves = 2},
               {.title = "RESTARTS", .right = true, .leaves = 3},
               {.title = "MEMORY", .right = true},
               {.title = "LIMIT", .right = true},
               {.title = "SHARED", .right = true, .leaves = 4},
               {.title = "PLACEMENTS", .right = true, .leaves = 5},
               {.title = "IN SYNC", .leaves = 1}});
  for (const v1::DeviceState& device : status.devices()) {
    table.AddRow({device.id(), device.name(), device.worker_state(),
                  device.worker_pid() > 0 ? fmt::format("{}", device.worker_pid()) : "-",
                  fmt::format("{}", device.worker_restarts()), Size(device.memory_used()),
                  device.memory_limit() > 0 ? Size(device.memory_limit()) : "-",
                  Size(device.shared_bytes()), fmt::format("{}", device.placements_size()),
                  device.sync().in_sync() ? "yes" : "no"});
  }
  return table.Render(screen);
}

std::string RenderConfig(const v1::ConfigReply& config, const Screen& screen) {
  Table table({{.title = "KEY"}, {.title = "SOURCE"}, {.title = "VALUE"}});
  for (const v1::ConfigValue& value : config.values()) {
    table.AddRow({value.key(), value.source(), value.value().empty() ? "-" : value.value()});
  }
  return table.Render(screen) +
         fmt::format("File: {}\n", config.file().empty() ? "none" : Printable(config.file()));
}

std::string RenderUsage(const v1::CacheUsage& usage, const Screen& screen) {
  const auto percent = [](double share) { return fmt::format("{:.1f} %", share * 100); };
  const uint64_t accesses =
      usage.raw_accesses() + usage.decoded_accesses() + usage.loaded_accesses();
  std::vector<std::pair<std::string, std::string>> fields = {
      {"In RAM", fmt::format("{} of models in {}", Size(usage.logical_bytes()),
                             Size(usage.allocated_bytes()))},
      {"Accesses",
       fmt::format("{}: {} found raw, {} decoded, {} loaded", accesses, usage.raw_accesses(),
                   usage.decoded_accesses(), usage.loaded_accesses())},
  };
  if (accesses > 0) {
    fields.emplace_back("Hit rate", percent(usage.hit_rate()));
    fields.emplace_back(
        "Access time", fmt::format("p50 {:.2f} ms, p99 {:.2f} ms", usage.access_p50_seconds() * 1e3,
                                   usage.access_p99_seconds() * 1e3));
    fields.emplace_back("Load time saved", percent(usage.time_saved()));
    fields.emplace_back("Balanced score", fmt::format("{:.2f}", usage.balanced_score()));
    fields.emplace_back("Spread by model size", fmt::format("{:.2f}", usage.adaptive_variance()));
  }
  const std::map<std::string, v1::CompressedShare> shares(usage.compressed_dtypes().begin(),
                                                          usage.compressed_dtypes().end());
  for (const auto& [dtype, share] : shares) {
    fields.emplace_back(
        "Compressed " + dtype,
        fmt::format("{} to {} ({:.2f}:1)", Size(share.raw_bytes()), Size(share.compressed_bytes()),
                    static_cast<double>(share.raw_bytes()) /
                        static_cast<double>(share.compressed_bytes())));
  }
  if (!usage.preloads().empty()) {
    fields.emplace_back(
        "Preloads", fmt::format("{} succeeded, {} of them used before they left RAM; "
                                "{} of uses that would have waited",
                                percent(usage.preload_success()), percent(usage.preload_hit_rate()),
                                percent(usage.preload_coverage())));
  }
  std::string text = RenderFields(fields, screen) + MemoryLine(usage.memory());
  if (!usage.preloads().empty()) {
    Table table({{.title = "PRELOADED AS"},
                 {.title = "ISSUED", .right = true},
                 {.title = "LOADED", .right = true},
                 {.title = "FAILED", .right = true},
                 {.title = "USED", .right = true},
                 {.title = "UNUSED", .right = true}});
    for (const v1::PreloadCounts& counts : usage.preloads()) {
      table.AddRow({counts.reason(), fmt::format("{}", counts.issued()),
                    fmt::format("{}", counts.loaded()), fmt::format("{}", counts.failed()),
                    fmt::format("{}", counts.used()), fmt::format("{}", counts.unused())});
    }
    text += "\n" + table.Render(screen);
  }
  if (usage.evictions().empty()) return text;
  Table table({{.title = "EVICTED"}, {.title = "UNUSED FOR"}, {.title = "WHY", .below = true}});
  for (const v1::CacheUsage::Eviction& eviction : usage.evictions()) {
    table.AddRow({eviction.component(),
                  FormatDuration(std::chrono::seconds(eviction.seconds_since_last_use())),
                  eviction.reason()});
  }
  return text + "\n" + table.Render(screen);
}

}  // namespace warmset::cli
