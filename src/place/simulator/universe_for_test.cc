#include "place/simulator/universe_for_test.h"

#include <cstring>
#include <memory>
#include <string>

namespace warmset::place {
namespace {

constexpr uint64_t kModels = 6;
constexpr uint64_t kContents = 12;

template <typename Id>
Id IdOf(uint64_t number) {
  Id id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

}  // namespace

Universe::Universe(Random& random) : random_(random) {
  for (uint64_t i = 1; i <= kModels; ++i) {
    ModelSnapshot snapshot{.model = IdOf<ModelId>(i), .name = "m" + std::to_string(i)};
    FillIn(snapshot);
    models_.push_back(snapshot.model);
    on_disk_[snapshot.model] = std::make_shared<const ModelSnapshot>(std::move(snapshot));
  }
  last_ = on_disk_;
}

ContentDigest Universe::DigestOf(uint64_t content) { return IdOf<ContentDigest>(content / 2); }

ByteCount Universe::BytesOf(uint64_t content) { return ByteCount(20 + content / 2 * 13 % 60); }

ModelPart Universe::MakePart(const std::string& name) {
  const auto id = IdOf<ComponentId>(++last_id_);
  const uint64_t content = random_.Below(kContents);
  contents_[id] = content;
  return {.name = name, .id = id, .bytes = BytesOf(content), .reload_seconds = 1};
}

void Universe::FillIn(ModelSnapshot& snapshot) {
  snapshot.revision = IdOf<RevisionId>(++last_id_);
  snapshot.components.clear();
  snapshot.files.clear();
  const uint64_t components = 1 + random_.Below(3);
  for (uint64_t i = 0; i < components; ++i) {
    snapshot.components.push_back(MakePart("c" + std::to_string(i)));
  }
  // A model of one component is the file itself.
  if (components == 1) {
    ModelPart file = snapshot.components.front();
    file.name = "file";
    snapshot.files.push_back(file);
  } else {
    snapshot.files.push_back(MakePart("file"));
  }
}

void Universe::ReplaceFiles(const ModelId& model) {
  ModelSnapshot snapshot = *last_.at(model);
  // Sometimes only one of its files.
  const ModelSnapshot before = snapshot;
  FillIn(snapshot);
  if (random_.OneIn(2) && before.components.size() == snapshot.components.size()) {
    snapshot.components.back() = before.components.back();
  }
  on_disk_[model] = last_[model] = std::make_shared<const ModelSnapshot>(std::move(snapshot));
}

void Universe::ChangeSettings(const ModelId& model) {
  ModelSnapshot snapshot = *last_.at(model);
  const uint64_t strategy = random_.Below(3);
  snapshot.settings = {.strategy = strategy == 0   ? CacheStrategy::kSpeed
                                   : strategy == 1 ? CacheStrategy::kMemory
                                                   : CacheStrategy::kBalanced,
                       .priority = static_cast<CachePriority>(random_.Below(3)),
                       .pinned = random_.OneIn(4),
                       .keep = std::chrono::seconds(random_.OneIn(4) ? 1 + random_.Below(5) : 0)};
  last_[model] = std::make_shared<const ModelSnapshot>(std::move(snapshot));
  if (on_disk_.at(model) != nullptr) on_disk_[model] = last_[model];
}

bool Universe::IsCurrent(const ModelSnapshot& snapshot) const {
  const SharedSnapshot& now = on_disk_.at(snapshot.model);
  return now != nullptr && now->revision == snapshot.revision;
}

}  // namespace warmset::place
