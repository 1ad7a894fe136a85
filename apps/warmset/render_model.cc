// What models are: kinds, architectures, verdicts and the reasons for them.
#include <algorithm>
#include <map>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "render.h"

namespace warmset::cli {
namespace {

constexpr std::string_view kOk = "ok";
constexpr std::string_view kSetByUser = " (set by you)";

// A daemon that does not say it has nothing against the model.
bool IsOk(std::string_view verdict) { return verdict.empty() || verdict == kOk; }

std::string PaintVerdict(const Style& style, std::string_view cell) {
  if (IsOk(cell.substr(0, cell.find(' ')))) return std::string(cell);
  return cell.starts_with("unsafe") || cell.starts_with("corrupt") ? style.Red(cell)
                                                                   : style.Yellow(cell);
}

std::string KindOf(const v1::ModelState& state) {
  if (state.kind().empty()) return "";
  return state.kind() + std::string(state.override().kind().empty() ? "" : kSetByUser);
}

std::string ArchitectureOf(const v1::ModelState& state) {
  if (state.architecture().empty()) return "";
  return state.architecture() +
         std::string(state.override().architecture().empty() ? "" : kSetByUser);
}

int Percent(double share) { return static_cast<int>(share * 100 + 0.5); }

std::string FindingLine(const v1::Finding& finding, const Screen& screen) {
  std::string where = Printable(finding.path());
  if (finding.has_offset()) {
    where += fmt::format("{}offset {}", where.empty() ? "" : ", ", finding.offset());
  }
  const bool warning = finding.severity() == "warning";
  const std::string label =
      fmt::format("{} ({})", finding.category(), warning ? "warning" : finding.verdict());
  return fmt::format("  {}: {}{}{}\n",
                     warning ? screen.style.Yellow(label) : screen.style.Red(label), where,
                     where.empty() ? "" : ": ", Printable(finding.message()));
}

template <typename Findings>
std::string FindingLines(std::string_view title, const Findings& findings, const Screen& screen) {
  if (findings.empty()) return "";
  std::string text = screen.style.Bold(title) + "\n";
  for (const v1::Finding& finding : findings) text += FindingLine(finding, screen);
  return text;
}

std::string CandidateLines(const v1::ModelDetail& detail, const Screen& screen) {
  if (detail.architectures().empty()) return "";
  std::string text = screen.style.Bold("Candidates") + "\n";
  for (const v1::ArchitectureCandidate& candidate : detail.architectures()) {
    text +=
        fmt::format("  {} ({}%)\n", Printable(candidate.name()), Percent(candidate.confidence()));
    for (const std::string& line : candidate.evidence()) {
      text += fmt::format("    {}\n", Printable(line));
    }
  }
  return text;
}

std::string KindLine(const v1::ModelDetail& detail) {
  const std::string kind = KindOf(detail.state());
  if (detail.identified_kind().empty()) return kind;
  return fmt::format("{}; its files say {}", kind, detail.identified_kind());
}

std::string FormatLine(const v1::ModelDetail& detail) {
  const v1::ModelState& state = detail.state();
  return fmt::format("{}{}{} ({})", state.format(), detail.format_version().empty() ? "" : " ",
                     detail.format_version(), state.layout());
}

// A path's files are guarded, or links to sealed memory.
std::string PathLine(const v1::ModelDetail& detail) {
  if (detail.ram_path().empty()) return "";
  const bool guarded = std::all_of(
      detail.files().begin(), detail.files().end(),
      [](const v1::ModelFile& file) { return file.ram_path().empty() || file.guarded(); });
  return fmt::format("{} ({})", detail.ram_path(),
                     guarded ? "guarded" : "links to the daemon's memory, sealed");
}

}  // namespace

std::string RenderList(const v1::ModelList& models, const Screen& screen) {
  const bool all_ok =
      std::all_of(models.models().begin(), models.models().end(),
                  [](const v1::ModelState& model) { return IsOk(model.verdict()); });
  std::vector<Table::Column> columns = {{.title = "NAME", .shrinks = true},
                                        {.title = "ID"},
                                        {.title = "SIZE", .right = true},
                                        {.title = "KIND"},
                                        {.title = "ARCHITECTURE"}};
  if (!all_ok) columns.push_back({.title = "VERDICT", .paint = PaintVerdict});
  columns.push_back({.title = "WHERE"});
  Table table(std::move(columns));
  for (const v1::ModelState& model : models.models()) {
    std::vector<std::string> row = {model.name(), ShortId(model.id()), Size(model.bytes()),
                                    KindOf(model), ArchitectureOf(model)};
    if (!all_ok) row.push_back(model.verdict());
    row.push_back(Where(model));
    table.AddRow(row);
  }
  return table.Render(screen);
}

std::string RenderDetail(const v1::ModelDetail& detail, const Screen& screen) {
  const v1::ModelState& state = detail.state();
  std::vector<std::string> components;
  for (const v1::ComponentState& component : detail.components()) {
    components.push_back(component.name());
  }
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Name", state.name()},
      {"Id", state.id()},
      {"Verdict", state.verdict()},
      {"Format", FormatLine(detail)},
      {"Kind", KindLine(detail)},
      {"Architecture", ArchitectureOf(state)},
      {"Needs", fmt::format("{}", fmt::join(detail.requires_models(), ", "))},
      {"Size", fmt::format("{} in {} file{}", Size(state.bytes()), detail.files_size(),
                           detail.files_size() == 1 ? "" : "s")},
      {"Path", detail.path()},
      {"Path in RAM", PathLine(detail)},
      {"Root", detail.root()},
      {"Components", fmt::format("{}", fmt::join(components, ", "))},
      {"Not mappable", detail.unplaced_tensors() == 0
                           ? ""
                           : fmt::format("{} tensors do not lie in the file as plain elements",
                                         detail.unplaced_tensors())},
      {"Where", Where(state)},
      {"Strategy", StrategyLine(state)},
      {"Held by", HeldBy(detail.holders(), Paths::kWhole)},
      {"Last used", Ago(state.last_used_unix_ms(), screen.now_unix_ms)},
      {"Last error", detail.error_message()},
  };
  for (const v1::ComponentState& component : detail.components()) {
    if (component.error_code().empty()) continue;
    fields.emplace_back("Error", fmt::format("{}: {}: {}", component.name(), component.error_code(),
                                             component.error_message()));
  }
  const std::map<std::string, std::string> sorted(detail.metadata().begin(),
                                                  detail.metadata().end());
  for (const auto& [key, value] : sorted) {
    constexpr size_t kMaxColumns = 100;  // some keep whole training logs there
    fields.emplace_back("Metadata",
                        fmt::format("{} = {}", key, ShortenMiddle(Printable(value), kMaxColumns)));
  }
  return RenderFields(fields, screen) + CandidateLines(detail, screen) +
         FindingLines("Findings", detail.findings(), screen);
}

std::string RenderCompatibility(const v1::CompatibilityReply& reply, const Screen& screen) {
  const std::string device =
      reply.device().empty() ? "" : fmt::format(" on {}", Printable(reply.device()));
  std::string text = reply.compatible() ? screen.style.Green("It can be used" + device + ".")
                                        : screen.style.Red("It can't be used" + device + ".");
  text += "\n" + FindingLines("Reasons", reply.reasons(), screen);
  if (reply.alternatives().empty()) return text;
  text += screen.style.Bold("Instead") + "\n";
  for (const v1::ModelState& model : reply.alternatives()) {
    text += fmt::format("  {} ({}, {})\n", Printable(model.name()), model.format(),
                        Size(model.bytes()));
  }
  return text;
}

std::string RenderOverride(const v1::ModelState& state) {
  const std::string kind = KindOf(state);
  const std::string architecture = ArchitectureOf(state);
  return fmt::format("{}: kind {}, architecture {}\n", Printable(state.name()),
                     kind.empty() ? "not known" : kind,
                     architecture.empty() ? "not known" : architecture);
}

}  // namespace warmset::cli
