// From one listed folder to the models in it.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "discover/scan_walk_state.h"
#include "inspect/weight_sets.h"

namespace warmset {

// Groups a folder's weights into models: the folder as a diffusers pipeline or a
// transformers model, sets of shards, single files. Used once per folder; the
// state and the folder must outlive it.
class WeightsSighter {
 public:
  WeightsSighter(ScanWalkState& state, const Folder& folder, const Place& place)
      : state_(state), folder_(folder), place_(place) {}

  // Everything in the folder; lists the folders of a pipeline's components.
  void SightAll();
  // Only the model that this file is or belongs to, whatever its name.
  void SightFile(const std::string& name);

 private:
  void SightPipeline();
  void SightWeights();
  void SightSet(const WeightSet& set, const Finding* warning = nullptr);
  // A folder that should have weights and has none.
  void SightWithoutWeights();
  // Whether weights of the hub's commit are here in folders below: a download that was
  // limited to them.
  bool HasOthersOfTheCommit() const;
  // What a hub's commit has in a folder without weights, and libraries would load.
  void AddMissing(Sighting& sighting, const Place& place, const std::string& prefix);

  // The sets of a folder, without copies in another format.
  std::vector<WeightSet> SetsOf(const Folder& folder, bool holds_models);
  void AddSet(Sighting& sighting, const Folder& folder, const WeightSet& set,
              const std::string& prefix);
  // The file, or what is wrong with the link that it is.
  void AddFile(Sighting& sighting, const Folder& folder, const std::string& name,
               const std::string& prefix);
  // What the hub answered, if somebody recorded it in the folder.
  void AddRecord(Sighting& sighting);
  // An unfinished sighting of the folder.
  Sighting Start(ModelLayout layout) const;
  void FinishFolder(Sighting sighting);
  // shown: what the file or the set of shards is called.
  void FinishFile(Sighting sighting, const std::string& file, const std::string& shown,
                  const std::string& id_part, bool folder_names_it);
  void NoteUnusable(const Folder& folder);

  ScanWalkState& state_;
  const Folder& folder_;
  const Place& place_;
  std::set<std::string> told_;  // paths of unusable files that a sighting tells of
};

}  // namespace warmset
