// The facts by which references judge a step: events, answers, and the tiers' memory.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "place/command.h"
#include "place/event.h"
#include "place/simulator/memory_for_test.h"
#include "place/simulator/universe_for_test.h"

namespace warmset::place {

// The requests that are open, the leases, the limits and the models, as events and answers had
// them.
class Facts {
 public:
  struct Lease {
    SessionId session;
    PlacementId placement;
    ModelId model;
  };
  struct Limit {
    ByteCount limit;
    ByteCount outside;
  };

  Facts(const Universe& the_universe, const Memories& the_memories)
      : universe(the_universe), memories(the_memories) {}

  // Before the machine sees the event; after its commands were judged.
  void Note(const Event& event);
  void Note(const Answer& answer);

  std::map<RequestId, Demanded> demands;
  std::map<RequestId, Dismissed> dismissals;
  std::map<LeaseId, Lease> leases;
  std::map<PlaceId, Limit> limits;
  std::map<ModelId, SharedSnapshot> models;
  std::set<PlaceId> failed;  // places that are down for good
  // Whose bytes were compared and are equal, the smaller id first; of models that are there.
  std::set<std::pair<ComponentId, ComponentId>> compared;

  // What was filled for a component that no model had at some time since.
  std::set<PlacementId> forgotten;

  bool IsOfAModel(const ComponentId& component) const;

  const Universe& universe;
  const Memories& memories;  // before the commands of the step

  const std::vector<ModelPart>& PartsOf(const Demanded& demand) const {
    return demand.form == Form::kNamed ? demand.snapshot->files : demand.snapshot->components;
  }
  uint64_t ContentOf(const Demanded& demand, size_t part) const {
    return universe.ContentOf(PartsOf(demand).at(demand.parts.at(part)).id);
  }
};

// One invariant of docs/design/residency.md, checked from outside: no reference uses code of
// the machine, which it would only repeat.
class Reference {
 public:
  explicit Reference(const Facts& facts, Violations& violations)
      : facts_(facts), violations_(violations) {}
  virtual ~Reference() = default;

  // Facts are those from before the event, but for `memories`.
  virtual void Before(const Event&, Time) {}
  // Facts have the event; the commands are not carried out yet.
  virtual void After(const Event&, const Commands&, Time) {}

 protected:
  void Violated(std::string text) { violations_.Add(std::move(text)); }

  const Facts& facts_;

 private:
  Violations& violations_;
};

}  // namespace warmset::place
