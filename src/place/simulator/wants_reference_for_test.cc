#include "place/simulator/wants_reference_for_test.h"

#include <algorithm>
#include <variant>

#include "fmt/format.h"

namespace warmset::place {

const ModelPart* WantsReference::PartOf(const DesireKey& key) const {
  const auto model = facts_.models.find(key.model);
  if (model == facts_.models.end()) return nullptr;
  const ModelSnapshot& snapshot = *model->second;
  for (const ModelPart& part : key.form == Form::kNamed ? snapshot.files : snapshot.components) {
    if (part.name == key.part) return &part;
  }
  return nullptr;
}

bool WantsReference::IsHard(const DesireKey& key, const Want& want) const {
  if (want.reason == Reason::kLoad || want.reason == Reason::kPath) return true;
  const auto model = facts_.models.find(key.model);
  if (model == facts_.models.end()) return false;
  const KeepSettings& settings = model->second->settings;
  return settings.pinned || settings.keep.count() > 0;
}

bool WantsReference::IsPromised(uint64_t content, const PlaceId& place) const {
  return std::any_of(wants_.begin(), wants_.end(), [&](const auto& each) {
    return each.second.content == content && each.first.place == place &&
           IsHard(each.first, each.second);
  });
}

bool WantsReference::IsWanted(uint64_t content, const PlaceId& place) const {
  return std::any_of(wants_.begin(), wants_.end(), [&](const auto& each) {
    return each.second.content == content && each.first.place == place;
  });
}

std::set<DesireKey> WantsReference::Promised() const {
  std::set<DesireKey> promised;
  for (const auto& [key, want] : wants_) {
    if (IsHard(key, want) && want.content && !want.doubtful) promised.insert(key);
  }
  return promised;
}

bool WantsReference::Serves(const Memory& memory, const DesireKey& key, const Want& want) const {
  const bool form =
      memory.form == key.form ||
      (key.form == Form::kRaw && (memory.form == Form::kNamed || memory.form == Form::kCompressed));
  return memory.place == key.place && form && memory.content == want.content &&
         memory.state == Memory::State::kReady && !memory.releasing && !memory.lost;
}

bool WantsReference::HasOther(PlacementId except, const DesireKey& key, const Want& want) const {
  return std::any_of(facts_.memories.begin(), facts_.memories.end(), [&](const auto& each) {
    return each.first != except && !released_.contains(each.first) &&
           Serves(each.second, key, want);
  });
}

bool WantsReference::IsThere(const DesireKey& key) const {
  return HasOther(PlacementId(), key, wants_.at(key));
}

void WantsReference::Before(const Event& event, Time now) {
  Expire(now);
  if (const auto* changed = std::get_if<ModelChanged>(&event)) {
    last_used_.try_emplace(changed->snapshot->model, now);
    Follow(*changed->snapshot);
  } else if (const auto* removed = std::get_if<ModelGone>(&event)) {
    const auto model = facts_.models.find(removed->model);
    if (model == facts_.models.end()) return;
    const bool pinned = model->second->settings.pinned;
    for (auto it = wants_.begin(); it != wants_.end();) {
      const auto& [key, want] = *it;
      const bool stays = pinned && want.reason != Reason::kLoad && want.reason != Reason::kPath;
      if (key.model == removed->model && stays) it->second.content.reset();
      it = key.model == removed->model && !stays ? wants_.erase(it) : std::next(it);
    }
    last_used_.erase(removed->model);
  } else if (const auto* ended = std::get_if<LeaseEnded>(&event)) {
    const auto lease = facts_.leases.find(ended->lease);
    if (lease != facts_.leases.end()) Touch(lease->second.model, now);
  } else if (const auto* gone = std::get_if<ClientGone>(&event)) {
    for (const auto& [id, lease] : facts_.leases) {
      if (lease.session == gone->session) Touch(lease.model, now);
    }
  }
}

void WantsReference::Touch(const ModelId& model, Time now) {
  if (facts_.models.contains(model)) last_used_[model] = now;
}

void WantsReference::Follow(const ModelSnapshot& snapshot) {
  const auto before = facts_.models.find(snapshot.model);
  if (before != facts_.models.end() && before->second->revision == snapshot.revision) return;
  const auto id_of = [](const ModelSnapshot& in, const DesireKey& key) {
    for (const ModelPart& part : key.form == Form::kNamed ? in.files : in.components) {
      if (part.name == key.part) return std::optional(part.id);
    }
    return std::optional<ComponentId>();
  };
  for (auto it = wants_.begin(); it != wants_.end();) {
    auto& [key, want] = *it;
    if (key.model != snapshot.model) {
      ++it;
      continue;
    }
    const auto id = id_of(snapshot, key);
    const bool was_away = !want.content;
    const bool same =
        !was_away && before != facts_.models.end() && id_of(*before->second, key) == id;
    const bool follows = was_away || same ||
                         (want.reason != Reason::kPath &&
                          (want.reason == Reason::kLoad || snapshot.settings.pinned));
    if (!id || !follows) {
      it = wants_.erase(it);
      continue;
    }
    want.content = facts_.universe.ContentOf(*id);
    ++it;
  }
}

void WantsReference::Expire(Time now) {
  for (auto it = wants_.begin(); it != wants_.end();) {
    const ModelId& id = it->first.model;
    const auto model = facts_.models.find(id);
    const bool keeps = model != facts_.models.end() && model->second->settings.keep.count() > 0;
    const bool leased = std::any_of(facts_.leases.begin(), facts_.leases.end(),
                                    [&](const auto& each) { return each.second.model == id; });
    const bool over = keeps && !leased && it->first.place == Ram() &&
                      last_used_[id] + model->second->settings.keep <= now;
    it = over ? wants_.erase(it) : std::next(it);
  }
}

void WantsReference::After(const Event& event, const Commands& commands, Time now) {
  Expire(now);
  released_.clear();
  if (const auto* dismissed = std::get_if<Dismissed>(&event)) {
    // What it wanted is over, unless the answer refuses.
    const bool refused = std::any_of(commands.begin(), commands.end(), [&](const Command& each) {
      const auto* const answer = std::get_if<Answer>(&each);
      return answer != nullptr && answer->request == dismissed->request && !answer->status.ok();
    });
    std::erase_if(wants_, [&](const auto& each) {
      const DesireKey& key = each.first;
      const bool named = dismissed->parts.empty() ||
                         std::find(dismissed->parts.begin(), dismissed->parts.end(), key.part) !=
                             dismissed->parts.end();
      const bool there = dismissed->place ? key.place == *dismissed->place : key.place != Ram();
      return !refused && key.model == dismissed->model && named && there &&
             (!dismissed->form || key.form == *dismissed->form);
    });
  } else if (const auto* failed = std::get_if<FillFailed>(&event)) {
    const auto memory = facts_.memories.find(failed->placement);
    for (auto& [key, want] : wants_) {
      want.doubtful |= memory != facts_.memories.end() && !IsHard(key, want) &&
                       want.content == memory->second.content && key.place == memory->second.place;
    }
  }
  for (const Command& command : commands) {
    if (const auto* answer = std::get_if<Answer>(&command)) NoteAnswer(*answer, now);
    if (const auto* release = std::get_if<Release>(&command)) Judge(*release);
  }
}

void WantsReference::NoteAnswer(const Answer& answer, Time now) {
  const auto demand = facts_.demands.find(answer.request);
  if (demand == facts_.demands.end() || !answer.status.ok()) return;
  const Demanded& what = demand->second;
  const ModelId& model = what.snapshot->model;
  Touch(model, now);
  if (!what.reason) return;
  for (size_t i = 0; i < what.parts.size(); ++i) {
    const std::string& part = facts_.PartsOf(what).at(what.parts[i]).name;
    const uint64_t content = facts_.ContentOf(what, i);
    Want& want = wants_[{model, part, what.place, what.form}];
    want = {.reason = std::max(want.reason, *what.reason), .content = content};
    if (what.place == Ram()) continue;
    // What it was brought there from may stay in RAM.
    const auto [from, is_new] = wants_.try_emplace({model, part, Ram(), Form::kRaw});
    if (is_new) from->second = {.content = content, .doubtful = true};
  }
}

void WantsReference::Judge(const Release& release) {
  released_.insert(release.placement);
  const auto found = facts_.memories.find(release.placement);
  if (found == facts_.memories.end()) return;
  const Memory& memory = found->second;
  const bool damaged = release.why == ReleaseReason::kFailed && memory.form == Form::kCompressed;
  for (auto& [key, want] : wants_) {
    if (damaged || !Serves(memory, key, want)) continue;
    // Two components with these bytes may be one to the machine by now, or two still.
    want.doubtful |= release.why == ReleaseReason::kEvicted && !IsHard(key, want);
    if (HasOther(release.placement, key, want)) continue;
    const ModelPart* const part = PartOf(key);
    // Not if its files were away: when they are back, they may be others.
    const bool served = part != nullptr && !facts_.forgotten.contains(release.placement) &&
                        AreKnownTwins(part->id, memory.component);
    if (served && !want.doubtful &&
        (IsHard(key, want) || release.why == ReleaseReason::kUnwanted)) {
      Violated(fmt::format("placement {} is released ({}), but {} of another request needs it",
                           release.placement.value(),
                           kReleaseReasonNames.at(static_cast<size_t>(release.why)), key.part));
    }
    want.doubtful = true;
  }
}

bool WantsReference::AreKnownTwins(const ComponentId& a, const ComponentId& b) const {
  if (!facts_.IsOfAModel(a) || !facts_.IsOfAModel(b)) return false;
  return a == b || facts_.compared.contains({std::min(a, b), std::max(a, b)});
}

void WantsReference::Restore(const std::map<DesireKey, Reason>& rows) {
  wants_.clear();
  for (const auto& [key, reason] : rows) {
    const auto model = facts_.models.find(key.model);
    const ModelPart* const part = PartOf(key);
    if (model != facts_.models.end() && part == nullptr) continue;
    Want& want = wants_[key] = {.reason = reason};
    if (part != nullptr) want.content = facts_.universe.ContentOf(part->id);
  }
}

}  // namespace warmset::place
