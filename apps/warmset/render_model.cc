// What models are: kinds, architectures, verdicts and the reasons for them.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "inspect/finding.h"
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

// Nothing for a word that is no verdict.
std::optional<ErrorCode> CodeOfVerdictName(std::string_view name) {
  for (int number = static_cast<int>(Verdict::kUnrecognized);
       number <= static_cast<int>(Verdict::kUnsafe); ++number) {
    const auto verdict = static_cast<Verdict>(number);
    if (VerdictName(verdict) == name) return CodeOfVerdict(verdict);
  }
  return std::nullopt;
}

int Percent(double share) { return static_cast<int>(share * 100 + 0.5); }

std::string FindingLine(const v1::Finding& finding, const Screen& screen) {
  std::string where = Printable(finding.path());
  if (finding.has_offset()) {
    where += fmt::format("{}offset {}", where.empty() ? "" : ", ", finding.offset());
  }
  const bool warning = finding.severity() == "warning";
  const std::string label = FindingLabel(finding.verdict(), finding.category());
  if (finding.message().starts_with(finding.path())) where.clear();  // it is named there
  const std::string text =
      Indented(fmt::format("{}: {}{}{}", label, where, where.empty() ? "" : ": ",
                           Printable(finding.message())),
               2, screen.columns);
  const std::string painted = warning ? screen.style.Yellow(label) : screen.style.Red(label);
  return "  " + painted + text.substr(2 + label.size()) + "\n";
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

// "6.74 billion".
std::string Count(uint64_t count) {
  constexpr std::array kUnits = {std::pair{1e12, "trillion"}, std::pair{1e9, "billion"},
                                 std::pair{1e6, "million"}};
  for (const auto& [unit, name] : kUnits) {
    if (static_cast<double>(count) >= unit) {
      return fmt::format("{:.3g} {}", static_cast<double>(count) / unit, name);
    }
  }
  return count == 0 ? "" : fmt::format("{}", count);
}

// "BF16 6.2 GiB, F32 1.00 MiB", the most first.
std::string DtypesLine(const v1::ModelDetail& detail) {
  std::map<std::string, uint64_t> bytes;
  for (const v1::ComponentState& component : detail.components()) {
    for (const auto& [dtype, count] : component.dtype_bytes()) bytes[dtype] += count;
  }
  std::vector<std::pair<uint64_t, std::string>> sorted;
  for (const auto& [dtype, count] : bytes) sorted.emplace_back(count, dtype);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> texts;
  for (const auto& [count, dtype] : sorted)
    texts.push_back(fmt::format("{} {}", dtype, Size(count)));
  return fmt::format("{}", fmt::join(texts, ", "));
}

// The last use failed for what the findings say.
bool RefusedByVerdict(const v1::ModelState& state) {
  return !IsOk(state.verdict()) &&
         ErrorCodeFromName(state.error_code()) == CodeOfVerdictName(state.verdict());
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
  const uint64_t beside = BytesBesideComponents(detail);
  return fmt::format("{} ({}{})", detail.ram_path(),
                     guarded ? "guarded" : "links to the daemon's memory, sealed",
                     beside == 0 ? "" : fmt::format("; {} beside the components", Size(beside)));
}

// Whether its files are what their names claim; empty where none claims anything.
std::string ClaimLine(const v1::ModelState& state, const Screen& screen) {
  if (state.claim_checked_unix_ms() == 0) return state.claim();
  return fmt::format("{}, checked {}", state.claim(),
                     Ago(state.claim_checked_unix_ms(), screen.now_unix_ms));
}

}  // namespace

std::string FindingLabel(std::string_view verdict, std::string_view category) {
  if (verdict.empty() || IsOk(verdict)) return fmt::format("warning ({})", category);
  // The others have one category each.
  return verdict == VerdictName(Verdict::kUnsupported) ? fmt::format("{} ({})", verdict, category)
                                                       : std::string(verdict);
}

std::string RenderList(const v1::ModelList& models, const Screen& screen) {
  const bool all_ok =
      std::all_of(models.models().begin(), models.models().end(),
                  [](const v1::ModelState& model) { return IsOk(model.verdict()); });
  std::vector<Table::Column> columns = {{.title = "NAME"},
                                        {.title = "ID", .leaves = 1},
                                        {.title = "SIZE", .right = true, .leaves = 4},
                                        {.title = "KIND", .leaves = 2},
                                        {.title = "ARCHITECTURE", .leaves = 3}};
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
  return table.Render(screen) + (models.models().empty()
                                     ? "No models. `warmset scan DIR` looks for some in a folder.\n"
                                     : "");
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
      {"Claim", ClaimLine(state, screen)},
      {"Format", FormatLine(detail)},
      {"Kind", KindLine(detail)},
      {"Architecture", ArchitectureOf(state)},
      {"Version", state.version()},
      {"Revision", state.revision()},
      {"Needs", fmt::format("{}", fmt::join(detail.requires_models(), ", "))},
      {"Size", fmt::format("{} in {} file{}", Size(state.bytes()), detail.files_size(),
                           detail.files_size() == 1 ? "" : "s")},
      {"Parameters", Count(detail.parameters())},
      {"Dtypes", DtypesLine(detail)},
      {"Quantisation", detail.quantisation()},
      {"Context length",
       detail.context_length() == 0 ? "" : fmt::format("{} tokens", detail.context_length())},
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
      {"Held by", HeldBy(detail.holders(), Holders::kAll)},
      {"Last used", Ago(state.last_used_unix_ms(), screen.now_unix_ms)},
      {"Last error", RefusedByVerdict(state) ? "" : detail.error_message()},
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
