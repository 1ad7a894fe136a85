// No fill goes on that nothing needs. When nothing happens any more, every desire has its
// placement, or the machine says why not.
#pragma once

#include <map>

#include "place/simulator/facts_for_test.h"
#include "place/simulator/wants_reference_for_test.h"
#include "place/state.h"

namespace warmset::place {

class NeedReference : public Reference {
 public:
  NeedReference(const Facts& facts, const WantsReference& wants, Violations& violations)
      : Reference(facts, violations), wants_(wants) {}
  void After(const Event& event, const Commands& commands, Time now) override;
  // Nothing is under way any more; `written` is what the catalog has. Looks at what the
  // machine shows of itself.
  void CheckQuiet(const State& state, const std::map<DesireKey, Reason>& written);

 private:
  bool IsNeeded(const Memory& memory) const;
  bool HasDependants(PlacementId id) const;
  void CheckMemories();

  const WantsReference& wants_;
};

}  // namespace warmset::place
