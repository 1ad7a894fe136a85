// A client never gets bytes of another revision or model.
#pragma once

#include "place/simulator/facts_for_test.h"

namespace warmset::place {

class IdentityReference : public Reference {
 public:
  using Reference::Reference;
  void After(const Event& event, const Commands& commands, Time now) override;
};

}  // namespace warmset::place
