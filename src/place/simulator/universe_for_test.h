// The models on a disk that does not exist.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/digest.h"
#include "model/model_snapshot.h"
#include "place/simulator/random_for_test.h"

namespace warmset::place {

// Knows what bytes every component that ever existed has: a number stands for them. Models
// share contents, and some contents have the same digest although they differ.
class Universe {
 public:
  explicit Universe(Random& random);

  // As it lies on the disk; nullptr: its files are away.
  SharedSnapshot OnDisk(const ModelId& model) const { return on_disk_.at(model); }
  const std::vector<ModelId>& models() const { return models_; }

  // Each makes another state of the disk; the machine learns of it later.
  void ReplaceFiles(const ModelId& model);
  void TakeAway(const ModelId& model) { on_disk_[model] = nullptr; }
  void ChangeSettings(const ModelId& model);

  // What the component's bytes are, whether or not they are on the disk still.
  uint64_t ContentOf(const ComponentId& component) const { return contents_.at(component); }
  static ContentDigest DigestOf(uint64_t content);
  static ByteCount BytesOf(uint64_t content);
  // Whether a file can be read as the snapshot has it.
  bool IsCurrent(const ModelSnapshot& snapshot) const;

 private:
  ModelPart MakePart(const std::string& name);
  void FillIn(ModelSnapshot& snapshot);

  Random& random_;
  std::vector<ModelId> models_;
  std::map<ModelId, SharedSnapshot> on_disk_;
  std::map<ModelId, SharedSnapshot> last_;  // as it was last on the disk
  std::map<ComponentId, uint64_t> contents_;
  uint64_t last_id_ = 0;
};

}  // namespace warmset::place
