// Every request is answered exactly once, by what it wanted or by a code that names the cause.
#pragma once

#include <map>
#include <set>

#include "place/simulator/facts_for_test.h"

namespace warmset::place {

class AnswersReference : public Reference {
 public:
  using Reference::Reference;
  void Before(const Event& event, Time now) override;
  void After(const Event& event, const Commands& commands, Time now) override;
  // Nothing is under way any more.
  void CheckQuiet();

 private:
  void Judge(const Answer& answer);
  void Allow(const PlaceId& place, ErrorCode code);
  void AllowOfModel(const ModelId& model, ErrorCode code);

  std::map<RequestId, std::set<ErrorCode>> causes_;  // of open requests, as they happen
};

}  // namespace warmset::place
