#include "place/simulator/trace_for_test.h"

#include <variant>
#include <vector>

#include "fmt/format.h"

namespace warmset::place {
namespace {

std::string CodeName(const Status& status) {
  return status.ok() ? "ok" : std::string(ErrorCodeName(CodeOf(status)));
}
std::string ShortName(const DesireKey& key) {
  return fmt::format("{}/{}@{}:{}", static_cast<int>(key.model.bytes[0]), key.part,
                     key.place.value(), FormName(key.form));
}

struct Words {
  std::string operator()(const Demanded& e) const {
    std::string parts;
    for (const uint32_t part : e.parts) parts += fmt::format(" {}", part);
    return fmt::format(
        "demanded r{} s{} {} parts{} at {} {} {}{}{}{}", e.request.value(), e.session.value(),
        e.snapshot->name, parts, e.place.value(), FormName(e.form),
        e.reason ? kReasonNames.at(static_cast<size_t>(*e.reason)) : "-", e.lease ? " lease" : "",
        e.while_filling ? " while_filling" : "", e.may_evict ? "" : " no_evict");
  }
  std::string operator()(const Withdrawn& e) const {
    return fmt::format("withdrawn r{}", e.request.value());
  }
  std::string operator()(const Dismissed& e) const {
    return fmt::format("dismissed r{} m{} {} {}", e.request.value(),
                       static_cast<int>(e.model.bytes[0]), e.place ? e.place->value() : "devices",
                       e.parts.empty() ? "all" : "some");
  }
  std::string operator()(const LeaseEnded& e) const {
    return fmt::format("lease {} ended", e.lease.value());
  }
  std::string operator()(const ClientGone& e) const {
    return fmt::format("client s{} gone", e.session.value());
  }
  std::string operator()(const ModelChanged& e) const {
    std::string parts;
    for (const ModelPart& part : e.snapshot->components) {
      parts += fmt::format(" {}={}({})", part.name, static_cast<int>(part.id.bytes[0]),
                           part.bytes.value());
    }
    const KeepSettings& s = e.snapshot->settings;
    return fmt::format("model {} changed:{} {}{} keep {}", e.snapshot->name, parts,
                       CacheStrategyName(s.strategy), s.pinned ? " pinned" : "", s.keep.count());
  }
  std::string operator()(const ModelGone& e) const {
    return fmt::format("model {} gone", static_cast<int>(e.model.bytes[0]));
  }
  std::string operator()(const FillProgressed& e) const {
    return fmt::format("p{} has {}", e.placement.value(), e.filled.value());
  }
  std::string operator()(const Filled& e) const {
    return fmt::format("p{} filled, {}", e.placement.value(), e.bytes.value());
  }
  std::string operator()(const FillFailed& e) const {
    return fmt::format("p{} failed: {}", e.placement.value(), CodeName(e.why));
  }
  std::string operator()(const Released& e) const {
    return fmt::format("p{} released", e.placement.value());
  }
  std::string operator()(const Compared& e) const {
    return fmt::format("p{} and p{} compared: {}", e.placement.value(), e.with.value(), e.equal);
  }
  std::string operator()(const Observed& e) const {
    std::string there;
    for (const auto& [id, bytes] : e.there) there += fmt::format(" p{}", id.value());
    return fmt::format("{} has{}", e.place.value(), there);
  }
  std::string operator()(const PlaceUp& e) const { return e.place.value() + " up"; }
  std::string operator()(const PlaceDown& e) const {
    return e.place.value() + (e.for_good ? " down for good" : " down");
  }
  std::string operator()(const LimitChanged& e) const {
    return fmt::format("limit of {}: {}, outside {}", e.place.value(), e.limit.value(),
                       e.outside.value());
  }
  std::string operator()(const Restored& e) const {
    std::string names;
    for (const auto& [key, reason] : e.desires) names += " " + ShortName(key);
    return "restored" + names;
  }
  std::string operator()(const Persisted& e) const { return "persisted " + CodeName(e.result); }
  std::string operator()(const TimePassed&) const { return "time passed"; }

  std::string operator()(const Fill& c) const {
    const auto& parts = c.form == Form::kNamed ? c.snapshot->files : c.snapshot->components;
    return fmt::format("fill p{} {}/{} at {} {} {} from {} for r{}", c.placement.value(),
                       c.snapshot->name, parts.at(c.part).name, c.place.value(), FormName(c.form),
                       c.bytes.value(), c.source ? fmt::format("p{}", c.source->value()) : "disk",
                       c.request.value());
  }
  std::string operator()(const Release& c) const {
    return fmt::format("release p{} at {} {} for r{}", c.placement.value(), c.place.value(),
                       kReleaseReasonNames.at(static_cast<size_t>(c.why)), c.request.value());
  }
  std::string operator()(const Compare& c) const {
    return fmt::format("compare p{} p{}", c.placement.value(), c.with.value());
  }
  std::string operator()(const Persist& c) const {
    std::string names;
    for (const auto& [key, reason] : c.rows) names += (reason ? " +" : " -") + ShortName(key);
    return "persist" + names;
  }
  std::string operator()(const Answer& c) const {
    std::string parts;
    for (const Answer::Part& part : c.parts) parts += fmt::format(" p{}", part.placement.value());
    return fmt::format("answer r{} {}{} {}", c.request.value(), CodeName(c.status), parts,
                       std::string(Message(c.status)));
  }
};

}  // namespace

std::string Trace(const State& state) {
  static const std::vector<std::string> kStates = {"waiting", "filling", "ready", "spoiled",
                                                   "releasing"};
  std::string text;
  for (const auto& [id, row] : state.rows.all()) {
    text += fmt::format(
        "p{} {}/{} content {} at {} {} {} {}{} from p{}: {} leases, {} demands, {} "
        "readers, {} dependants\n",
        id.value(), row.snapshot->name, row.model_part().name, row.content.value(),
        row.place.value(), FormName(row.form), kStates.at(static_cast<size_t>(row.state)),
        row.bytes.value(), row.visible ? "" : " hidden", row.source.value_or(PlacementId()).value(),
        row.leases, row.demands, row.readers, row.dependants);
  }
  for (const auto& [key, desire] : state.desires.all()) {
    text += fmt::format("{} {} {}\n", ShortName(key),
                        kReasonNames.at(static_cast<size_t>(desire.reason)),
                        std::string(Message(desire.why)));
  }
  return text;
}

std::string Trace(const Event& event, const Commands& commands, Time now) {
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  std::string text = fmt::format("{:6} {}", at.count(), std::visit(Words(), event));
  for (const Command& command : commands) text += "\n         > " + std::visit(Words(), command);
  return text;
}

}  // namespace warmset::place
