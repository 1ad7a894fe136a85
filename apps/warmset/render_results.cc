// What requests did, or would do.
#include <string_view>

#include "base/units.h"
#include "fmt/format.h"
#include "render.h"

namespace warmset::cli {
namespace {

// "1.50 GiB in 0.5 s (3.00 GiB/s)".
std::string Transfer(uint64_t bytes, double seconds) {
  std::string text = fmt::format("{} in {}", Size(bytes), Seconds(seconds));
  if (seconds > 0 && bytes > 0) {
    text +=
        fmt::format(" ({}/s)", Size(static_cast<uint64_t>(static_cast<double>(bytes) / seconds)));
  }
  return text;
}

// What a forced use left out.
template <typename Reply>
std::string SkippedLines(const Reply& reply) {
  std::string text;
  for (const v1::Skipped& part : reply.skipped()) {
    const bool warning = part.verdict() == "ok";
    text += fmt::format("  {} {}{}{} ({}): {}\n", warning ? "noticed" : "skipped", part.what(),
                        part.name().empty() ? "" : " ", Printable(part.name()),
                        warning ? "warning" : part.verdict(), Printable(part.reason()));
  }
  const auto shown = static_cast<uint64_t>(reply.skipped_size());
  if (shown < reply.skipped_total()) {
    text += fmt::format("  and {} more\n", reply.skipped_total() - shown);
  }
  return text;
}

// What left where it was: "unet 4.80 GiB, vae 160 MiB".
std::string FreedLine(const std::string& model, uint64_t bytes,
                      const google::protobuf::RepeatedPtrField<v1::Freed>& freed) {
  std::string parts;
  for (const v1::Freed& part : freed) {
    parts += fmt::format("{}{} {}{}", parts.empty() ? "" : ", ", Printable(part.component()),
                         Size(part.bytes()),
                         part.device().empty() ? "" : " on " + Printable(part.device()));
  }
  return fmt::format("{}: freed {}{}\n", Printable(model), Size(bytes),
                     parts.empty() ? "" : fmt::format(" ({})", parts));
}

// What stays where it is, and why.
std::string KeptLines(const google::protobuf::RepeatedPtrField<v1::Kept>& all_kept) {
  std::string text;
  for (const v1::Kept& kept : all_kept) {
    text += fmt::format("  kept {} ({}): {}\n", Printable(kept.component()), Size(kept.bytes()),
                        Printable(kept.reason()));
  }
  return text;
}

std::string ChangedLines(const google::protobuf::RepeatedPtrField<v1::SettingChange>& changes) {
  std::string text;
  for (const v1::SettingChange& change : changes) {
    text += fmt::format("  {} {} (was {})\n", Printable(change.setting()),
                        Printable(change.after()), Printable(change.before()));
  }
  return text;
}

}  // namespace

std::string RenderScan(const v1::ScanReply& scan, const Screen& screen) {
  std::string text = fmt::format(
      "{} models ({} added, {} changed, {} removed); {} files looked at, {} headers read in {}\n",
      scan.models(), scan.added(), scan.changed(), scan.removed(), scan.files(),
      scan.headers_read(), Seconds(scan.seconds()));
  if (scan.findings_total() == 0) return text;
  Table table({{.title = "VERDICT"}, {.title = "PATH"}, {.title = "REASON", .below = true}});
  for (const v1::ScanFinding& finding : scan.findings()) {
    table.AddRow({finding.verdict().empty() ? finding.code() : finding.verdict(), finding.path(),
                  finding.message()});
  }
  text += fmt::format("\n{} can't be used:\n{}", scan.findings_total(), table.Render(screen));
  const uint64_t shown = static_cast<uint64_t>(scan.findings_size());
  if (shown < scan.findings_total()) {
    text += fmt::format("and {} more\n", scan.findings_total() - shown);
  }
  return text;
}

std::string RenderPlan(const v1::PlanReply& plan, const Screen& screen) {
  std::string text = Printable(plan.model()) + ": ";
  if (plan.needed_bytes() == 0) {
    text += "is in RAM already";
    if (plan.decoded_bytes() > 0) {
      text += fmt::format(", {} of it compressed, which the device's worker decodes in about {}",
                          Size(plan.decoded_bytes()), Seconds(plan.seconds()));
    }
    text += "\n";
  } else {
    const auto sizes = FormatSizes({ByteCount(plan.needed_bytes()), ByteCount(plan.free_bytes())});
    text += fmt::format("needs {} of RAM, {} are free; would take about {}{}\n", sizes[0], sizes[1],
                        Seconds(plan.seconds()),
                        plan.decoded_bytes() > 0
                            ? fmt::format(", {} of it decoded from RAM", Size(plan.decoded_bytes()))
                            : "");
  }
  if (!plan.device().empty()) {
    text += fmt::format("  on {}: ", Printable(plan.device()));
    const auto sizes =
        FormatSizes({ByteCount(plan.device_needed_bytes()), ByteCount(plan.device_free_bytes())});
    text += plan.pool() == "shared"
                ? "the same memory serves the device\n"
                : fmt::format("needs {} of its own, {} are free\n", sizes[0], sizes[1]);
  }
  if (plan.has_refused()) {
    return text + screen.style.Red("  would fail: ") +
           fmt::format("{}: {}\n", Printable(plan.refused().code()),
                       Printable(plan.refused().message()));
  }
  if (plan.steps().empty()) return text + "Nothing would leave RAM.\n";
  Table table({{.title = "WOULD LEAVE RAM"},
               {.title = "WHAT"},
               {.title = "FREES", .right = true},
               {.title = "BACK IN", .right = true},
               {.title = "WHY", .below = true}});
  for (const v1::PlanStep& step : plan.steps()) {
    table.AddRow({step.component(), step.what(), Size(step.bytes()),
                  Seconds(step.bring_back_seconds()), step.reason()});
  }
  return text + table.Render(screen);
}

std::string RenderCached(const v1::CacheReply& reply) {
  std::string text = Printable(reply.state().name()) + ": ";
  if (reply.loaded_bytes() == 0) {
    text += fmt::format("{} were in RAM already\n", Size(reply.already_bytes()));
  } else {
    text +=
        fmt::format("read {}, {}% on huge pages", Transfer(reply.loaded_bytes(), reply.seconds()),
                    Percent(reply.huge_page_bytes(), reply.loaded_bytes()));
    if (reply.already_bytes() > 0)
      text += fmt::format("; {} were there", Size(reply.already_bytes()));
    text += "\n";
  }
  for (const std::string& evicted : reply.evicted()) {
    text += fmt::format("  evicted {}\n", Printable(evicted));
  }
  return text + ChangedLines(reply.changed()) + SkippedLines(reply);
}

std::string RenderPreload(const v1::PreloadReply& reply) {
  const v1::ModelState& state = reply.state();
  if (reply.in_ram()) {
    return fmt::format("{}: is in RAM already\n", Printable(state.name()));
  }
  return fmt::format("{}: will be read into RAM{}\n", Printable(state.name()),
                     reply.waiting() > 0 ? fmt::format(" after {} others", reply.waiting()) : "");
}

std::string RenderUncached(const v1::UncacheReply& reply) {
  std::string text = FreedLine(reply.model(), reply.freed_bytes(), reply.freed());
  if (reply.freed().empty() && reply.kept().empty()) {
    return fmt::format("{}: was not in RAM\n", Printable(reply.model()));
  }
  return text + KeptLines(reply.kept());
}

std::string RenderUnloaded(const v1::UnloadReply& reply) {
  return FreedLine(reply.model(), reply.freed_bytes(), reply.freed()) + KeptLines(reply.kept());
}

std::string RenderLoaded(const v1::LoadReply& reply) {
  return fmt::format("{}: on {} ({} pool), {}\n", Printable(reply.state().name()),
                     Printable(reply.device()), Printable(reply.pool()),
                     Transfer(reply.loaded_bytes(), reply.seconds())) +
         SkippedLines(reply);
}

}  // namespace warmset::cli
