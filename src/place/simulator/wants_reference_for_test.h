// What a model or a session wants survives what happens to others.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "place/simulator/facts_for_test.h"

namespace warmset::place {

// Keeps its own books of what was promised: from the answers of demands, until the model
// itself dismisses it, changes, or loses it to an eviction.
class WantsReference : public Reference {
 public:
  using Reference::Reference;
  void Before(const Event& event, Time now) override;
  void After(const Event& event, const Commands& commands, Time now) override;

  // A daemon before wrote these.
  void Restore(const std::map<DesireKey, Reason>& rows);
  // The content must stay at the place.
  bool IsPromised(uint64_t content, const PlaceId& place) const;
  // Something wants the content there, however little.
  bool IsWanted(uint64_t content, const PlaceId& place) const;
  // Wants that must be among what the machine desires.
  std::set<DesireKey> Promised() const;
  // Its place gives it back, and if not, the machine must say why.
  bool IsThere(const DesireKey& key) const;

 private:
  struct Want {
    Reason reason = Reason::kCache;
    std::optional<uint64_t> content{};  // nothing: its files are away
    // What was to give it has failed or was evicted: one of little weight may be given up.
    bool doubtful = false;
  };
  bool IsHard(const DesireKey& key, const Want& want) const;
  const ModelPart* PartOf(const DesireKey& key) const;
  bool Serves(const Memory& memory, const DesireKey& key, const Want& want) const;
  bool HasOther(PlacementId except, const DesireKey& key, const Want& want) const;
  // The machine can know that both have the same bytes.
  bool AreKnownTwins(const ComponentId& a, const ComponentId& b) const;
  void Judge(const Release& release);
  void NoteAnswer(const Answer& answer, Time now);
  void Follow(const ModelSnapshot& snapshot);
  void Expire(Time now);
  void Touch(const ModelId& model, Time now);

  std::map<DesireKey, Want> wants_;
  std::map<ModelId, Time> last_used_;
  std::set<PlacementId> released_;  // commanded, this step's included
};

}  // namespace warmset::place
