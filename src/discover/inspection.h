// What an inspector said of a sighting, and what the catalog keeps of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/shared_text.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/model_summary.h"
#include "discover/sighting.h"
#include "isolate/inspector.h"

namespace warmset {

struct Inspection {
  StatusOr<Manifest> manifest;
  InspectionRow row;
  bool lasting = true;  // it will be so again as long as the files do not change

  // What is worth keeping of it in the catalog.
  std::vector<InspectionRow> TakeRows();
};

// Opens and reads the files, if there are any.
Inspection InspectSighting(Inspector& inspector, const Sighting& sighting);

// What the catalog has of that revision, if it is of use.
std::optional<InspectionRow> RecallInspection(Catalog& catalog, const RevisionId& revision);
StatusOr<Manifest> ManifestIn(const InspectionRow& row);

ModelSummary SummaryOf(const Sighting& sighting, std::string name, const Manifest& manifest,
                       TextPool& texts);

// What is wrong with a model, by the worst of its findings. REQUIRES: its verdict is
// not kOk.
ScanFinding WorstOf(const Sighting& sighting, const std::vector<Finding>& findings);

}  // namespace warmset
