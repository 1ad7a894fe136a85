#include "place/simulator/world_for_test.h"

#include <array>
#include <utility>
#include <variant>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "place/plan.h"
#include "place/simulator/lru_policy_for_test.h"
#include "place/simulator/trace_for_test.h"

namespace warmset::place {
namespace {

constexpr ByteCount kRamLimit(300);
constexpr ByteCount kDeviceLimit(200);
constexpr int kSteps = 150;                    // of clients, in bad times
constexpr uint64_t kMostSettlingSteps = 5000;  // in quiet times

bool IsFor(const Command& command, RequestId request) {
  const auto* const fill = std::get_if<Fill>(&command);
  const auto* const release = std::get_if<Release>(&command);
  return request != RequestId() && ((fill != nullptr && fill->request == request) ||
                                    (release != nullptr && release->request == request));
}

// Without the ids of new placements. REQUIRES: it is a Fill or a Release.
std::string StepOf(const Command& command) {
  if (const auto* fill = std::get_if<Fill>(&command)) {
    return fmt::format("fill {} of {} at {} {} {}{}", fill->part, fill->snapshot->name,
                       fill->place.value(), FormName(fill->form), fill->bytes.value(),
                       fill->source ? "" : " from disk");
  }
  return fmt::format("release p{}", std::get<Release>(command).placement.value());
}

}  // namespace

World::World(uint64_t seed)
    : random_(seed),
      universe_(random_),
      tiers_(random_, timeline_, universe_, violations_, [this](const Event& each) { Do(each); }),
      catalog_(random_, timeline_, [this](const Event& each) { Do(each); }) {}

void World::Run() {
  do {
    Live();
  } while (!violations_.any() && random_.OneIn(3));
}

void World::Live() {
  ++life_;
  timeline_.Clear();
  tiers_.Clear();
  tiers_.bad = catalog_.bad = true;
  const std::vector<PlaceOptions> places = {{Ram(), kRamLimit, 2},
                                            {DeviceForTest(), kDeviceLimit, 2}};
  machine_ = std::make_unique<Residency>(places, std::make_unique<LruPolicyForTest>());
  facts_ = std::make_unique<Facts>(universe_, tiers_.memories());
  facts_->limits = {{Ram(), {kRamLimit, {}}}, {DeviceForTest(), {kDeviceLimit, {}}}};
  answers_ = std::make_unique<AnswersReference>(*facts_, violations_);
  wants_ = std::make_unique<WantsReference>(*facts_, violations_);
  needs_ = std::make_unique<NeedReference>(*facts_, *wants_, violations_);
  room_ = std::make_unique<RoomReference>(*facts_, *wants_, violations_);
  identity_ = std::make_unique<IdentityReference>(*facts_, violations_);
  for (const ModelId& model : universe_.models()) {
    if (const SharedSnapshot& now = universe_.OnDisk(model)) Do(ModelChanged{now});
  }
  wants_->Restore(catalog_.rows());
  Do(Restored{{catalog_.rows().begin(), catalog_.rows().end()}});
  tiers_.Start(DeviceForTest());

  BadTimes();
  QuietTimes();
}

void World::BadTimes() {
  for (int i = 0; i < kSteps && !violations_.any(); ++i) {
    RunUntil(timeline_.now() + std::chrono::milliseconds(random_.Below(60)));
    if (!violations_.any()) ActAtRandom();
  }
}

void World::QuietTimes() {
  tiers_.bad = catalog_.bad = false;
  RunUntil(std::nullopt);
  if (violations_.any()) return;
  answers_->CheckQuiet();
  room_->CheckQuiet();
  needs_->CheckQuiet(machine_->state(), catalog_.rows());
  if (trace && violations_.any()) log_.push_back(Trace(machine_->state()));
  if (!violations_.any()) CheckPlan();
}

void World::CheckPlan() {
  const Demanded demand = RandomDemand();
  if (demand.snapshot == nullptr) return;
  const Plan plan = PlanFor(*machine_, demand, timeline_.now());
  std::multiset<std::string> planned;
  for (const Command& step : plan.steps) planned.insert(StepOf(step));
  planned_ = demand.request;
  taken_.clear();
  Do(demand);
  RunUntil(std::nullopt);
  const Status outcome = planned_outcome_;
  if (CodeOf(outcome) != CodeOf(plan.refused) || outcome.ok() != plan.refused.ok()) {
    violations_.Add(fmt::format("request {} was planned to end otherwise: {}, {}",
                                demand.request.value(), std::string(Message(plan.refused)),
                                std::string(Message(outcome))));
  } else if (outcome.ok() && planned != taken_) {
    violations_.Add(fmt::format("request {} was planned as [{}], and was [{}]",
                                demand.request.value(), fmt::join(planned, "; "),
                                fmt::join(taken_, "; ")));
  }
}

void World::RunUntil(std::optional<Time> end) {
  const uint64_t begin = steps_;
  while (!violations_.any()) {
    if (!end && steps_ - begin > kMostSettlingSteps) return violations_.Add("it never settles");
    std::optional<Time> next = timeline_.Next();
    const std::optional<Time> deadline = machine_->NextDeadline();
    if (deadline && (!next || *deadline <= *next) && (!end || *deadline <= *end)) {
      timeline_.GoTo(std::max(timeline_.now(), *deadline));
      Do(TimePassed{});
    } else if (next && (!end || *next <= *end)) {
      timeline_.RunNext();
    } else {
      break;
    }
  }
  if (end) timeline_.GoTo(std::max(timeline_.now(), *end));
}

void World::Do(const Event& event) {
  if (violations_.any()) return;
  ++steps_;
  const Time now = timeline_.now();
  const std::array<Reference*, 5> references = {answers_.get(), wants_.get(), needs_.get(),
                                                room_.get(), identity_.get()};
  for (Reference* each : references) each->Before(event, now);
  EndLeases(event);
  facts_->Note(event);
  const Commands commands = machine_->Apply(event, now);
  if (trace) log_.push_back(Trace(event, commands, now));
  for (Reference* each : references) each->After(event, commands, now);
  for (const Command& command : commands) {
    if (!violations_.any()) Execute(command);
    if (IsFor(command, planned_)) taken_.insert(StepOf(command));
  }
  if (trace && violations_.any()) log_.push_back(Trace(machine_->state()));
}

// Clients unmap before the machine hears of it.
void World::EndLeases(const Event& event) {
  const auto* const ended = std::get_if<LeaseEnded>(&event);
  const auto* const gone = std::get_if<ClientGone>(&event);
  for (const auto& [id, lease] : facts_->leases) {
    const bool ends = (ended != nullptr && ended->lease == id) ||
                      (gone != nullptr && gone->session == lease.session);
    if (ends) tiers_.EndLease(lease.placement);
  }
}

void World::Execute(const Command& command) {
  if (const auto* fill = std::get_if<Fill>(&command)) {
    tiers_.Do(*fill);
  } else if (const auto* release = std::get_if<Release>(&command)) {
    tiers_.Do(*release);
  } else if (const auto* compare = std::get_if<Compare>(&command)) {
    tiers_.Do(*compare);
  } else if (const auto* persist = std::get_if<Persist>(&command)) {
    catalog_.Do(*persist);
  } else {
    const Answer& answer = std::get<Answer>(command);
    facts_->Note(answer);
    if (answer.request == planned_) planned_outcome_ = answer.status;
    served_ += answer.status.ok() ? 1U : 0U;
    for (const Answer::Part& part : answer.parts) {
      if (part.lease) tiers_.Lease(part.placement);
    }
  }
}

}  // namespace warmset::place
