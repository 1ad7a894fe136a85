#include <sstream>

#include "context.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "inspection/report.h"
#include "render.h"

namespace warmset::cli {
namespace {

constexpr size_t kMaxRows = 10'000;  // of one table

std::string PaintVerdict(const Style& style, std::string_view cell) {
  if (cell.starts_with(VerdictName(Verdict::kOk))) return style.Green(cell);
  for (const Verdict mild : {Verdict::kUnrecognized, Verdict::kIncomplete, Verdict::kRestricted}) {
    if (cell.starts_with(VerdictName(mild))) return style.Yellow(cell);
  }
  return style.Red(cell);
}

std::string FormatOf(const Manifest& manifest) {
  if (manifest.format_version.empty()) return manifest.format;
  return manifest.format + " " + manifest.format_version;
}

std::string FindingText(const Finding& finding, const Style& style) {
  std::string where = finding.message.starts_with(finding.path) ? "" : finding.path;
  if (finding.offset) where += fmt::format("{}offset {}", where.empty() ? "" : ", ", *finding.offset);
  if (!where.empty()) where += ": ";
  const std::string label =
      FindingLabel(VerdictName(finding.verdict), FindingCategoryName(finding.category)) + ":";
  return fmt::format("  {} {}{}\n",
                     finding.verdict == Verdict::kOk ? style.Yellow(label) : style.Red(label),
                     Printable(where), Printable(finding.message));
}

Table TableOfTensors() {
  return Table({{.title = "TENSOR"},
                {.title = "DTYPE"},
                {.title = "SHAPE"},
                {.title = "BYTES", .right = true},
                {.title = "FILE", .leaves = 2},
                {.title = "OFFSET", .right = true, .leaves = 3},
                {.title = "COMPONENT", .leaves = 1}});
}

// In parts, since a header may list a million.
Status PrintTensors(const InspectedModel& model, const Screen& screen) {
  PrintOut(fmt::format("\n{}\n", screen.style.Bold(Printable(model.path))));
  Table table = TableOfTensors();
  size_t rows = 0;
  RETURN_IF_ERROR(ForEachTensor(model.manifest, [&](const ListedTensor& tensor) {
    table.AddRow({tensor.name, std::string(DTypeName(tensor.dtype)),
                  fmt::format("[{}]", fmt::join(tensor.shape, ",")),
                  fmt::format("{}", tensor.bytes), std::string(tensor.file),
                  fmt::format("{}", tensor.offset),
                  tensor.component.empty() ? fmt::format("({})", tensor.storage)
                                           : std::string(tensor.component)});
    if (++rows < kMaxRows) return;
    PrintOut(table.Render(screen));
    table = TableOfTensors();
    rows = 0;
  }));
  if (rows > 0) PrintOut(table.Render(screen));
  return OkStatus();
}

}  // namespace

Status PrintText(const std::vector<InspectedModel>& models, bool with_tensors,
                 const Screen& screen) {
  Table table({{.title = "VERDICT", .paint = PaintVerdict},
               {.title = "PATH"},
               {.title = "KIND", .leaves = 3},
               {.title = "ARCHITECTURE", .leaves = 4},
               {.title = "FORMAT", .leaves = 2},
               {.title = "TENSORS", .right = true, .leaves = 1},
               {.title = "SIZE", .right = true, .leaves = 5}});
  for (const InspectedModel& model : models) {
    const Manifest& manifest = model.manifest;
    const TensorTotals totals = TotalsOf(manifest);
    table.AddRow({std::string(VerdictName(manifest.verdict())), model.path, manifest.kind,
                  manifest.architecture().name, FormatOf(manifest),
                  fmt::format("{}", totals.tensors), Size(totals.bytes)});
  }
  // Cells have no line breaks, so each line is a row: a model's findings go below it.
  std::istringstream lines(table.Render(screen));
  std::string text;
  std::string line;
  std::getline(lines, line);
  text += line + "\n";
  for (const InspectedModel& model : models) {
    std::getline(lines, line);
    text += line + "\n";
    for (const Finding& finding : model.manifest.findings) text += FindingText(finding, screen.style);
  }
  PrintOut(text);
  for (const InspectedModel& model : models) {
    if (with_tensors) RETURN_IF_ERROR(PrintTensors(model, screen));
  }
  return OkStatus();
}

}  // namespace warmset::cli
