#include "discover/inspection.h"

#include <algorithm>
#include <utility>

#include "discover/model_folder.h"

namespace warmset {

std::vector<InspectionRow> Inspection::TakeRows() {
  std::vector<InspectionRow> rows;
  if (lasting) rows.push_back(std::move(row));
  return rows;
}

Inspection InspectSighting(Inspector& inspector, const Sighting& sighting) {
  Inspected inspected;
  if (!sighting.model.files.empty()) {
    ModelFolder folder(sighting.folder);
    auto result = inspector.Inspect(sighting.model, folder);
    if (!result.ok()) {
      const Status& failure = result.status();
      const bool lasting = CodeOf(failure) == ErrorCode::kCorruptedModel ||
                           CodeOf(failure) == ErrorCode::kUnsupportedFormat;
      return {failure, {sighting.revision, {}, failure}, lasting};
    }
    inspected = *std::move(result);
  }
  AddFindings(sighting, inspected.manifest);
  if (!sighting.findings.empty()) inspected.encoded = EncodeManifest(inspected.manifest);
  return {std::move(inspected.manifest),
          {sighting.revision, std::move(inspected.encoded), OkStatus()},
          inspected.lasting};
}

std::optional<InspectionRow> RecallInspection(Catalog& catalog, const RevisionId& revision) {
  auto row = catalog.FindInspection(revision);
  if (!row.ok() || !row->has_value()) return std::nullopt;
  return std::move(**row);
}

StatusOr<Manifest> ManifestIn(const InspectionRow& row) {
  if (!row.failure.ok()) return row.failure;
  return DecodeManifest(row.manifest);
}

ModelSummary SummaryOf(const Sighting& sighting, std::string name, const Manifest& manifest,
                       TextPool& texts) {
  ModelSummary summary;
  summary.id = sighting.id;
  summary.revision = sighting.revision;
  summary.name = std::move(name);
  summary.root = texts.Get(sighting.root);
  summary.folder = texts.Get(sighting.folder);
  Describe(manifest, texts, summary);
  if (summary.version.empty()) summary.version = texts.Get(sighting.version);
  summary.commit = texts.Get(sighting.commit);
  summary.SetPath(sighting.path);
  return summary;
}

ScanFinding WorstOf(const Sighting& sighting, const std::vector<Finding>& findings) {
  const Finding& worst =
      *std::max_element(findings.begin(), findings.end(),
                        [](const Finding& a, const Finding& b) { return a.verdict < b.verdict; });
  const bool in_folder = worst.path.empty() || sighting.model.layout == ModelLayout::kFile;
  return {in_folder ? sighting.path : sighting.folder + "/" + worst.path,
          CodeOfVerdict(worst.verdict), worst.message};
}

}  // namespace warmset
