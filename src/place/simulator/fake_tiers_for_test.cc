#include "place/simulator/fake_tiers_for_test.h"

#include <utility>

#include "fmt/format.h"

namespace warmset::place {
namespace {

constexpr uint64_t kNoContent = ~uint64_t{0};  // of what no model has

}  // namespace

void FakeTiers::Do(const Fill& fill) {
  const auto& parts = fill.form == Form::kNamed ? fill.snapshot->files : fill.snapshot->components;
  const ModelPart& part = parts.at(fill.part);
  Memory memory{.place = fill.place,
                .form = fill.form,
                .bytes = fill.bytes,
                .content = universe_.ContentOf(part.id),
                .component = part.id,
                .source = fill.source,
                .request = fill.request};
  if (dead_.contains(fill.place)) violations_.Add("a fill for a worker that is not up");
  if (fill.source) {
    const auto source = memories_.find(*fill.source);
    if (source == memories_.end() || source->second.state != Memory::State::kReady ||
        source->second.releasing) {
      violations_.Add(fmt::format("placement {} is filled from {}, which is not there",
                                  fill.placement.value(), fill.source->value()));
      return;
    }
    memory.content = source->second.content;
  }
  if (!memories_.emplace(fill.placement, memory).second) {
    violations_.Add(fmt::format("placement {} is filled twice", fill.placement.value()));
  }
  const uint64_t life = lives_[fill.place];
  const auto takes = Delay(200);
  if (fill.form == Form::kRaw && random_.OneIn(2)) {
    timeline_.After(takes / 2, [this, id = fill.placement, life] { Progress(id, life); });
  }
  timeline_.After(takes, [this, fill, life] { End(fill.placement, life, fill); });
}

void FakeTiers::Progress(PlacementId id, uint64_t life) {
  const auto found = memories_.find(id);
  if (found == memories_.end() || lives_[found->second.place] != life) return;
  report_(FillProgressed{id, ByteCount(found->second.bytes.value() / 2)});
}

Status FakeTiers::Outcome(const Fill& fill, const Memory& memory, std::optional<ByteCount>& needs) {
  if (!fill.source && !universe_.IsCurrent(*fill.snapshot)) {
    return Error(ErrorCode::kFileChanged, "the file was replaced");
  }
  if (fill.form == Form::kCompressed) {
    // As its content has it: always the same.
    const ByteCount raw = Universe::BytesOf(memory.content);
    const ByteCount takes(raw.value() * (50 + memory.content * 10 % 60) / 100);
    if (takes <= fill.bytes) return OkStatus();
    needs = takes;
    return Error(ErrorCode::kRamLimitExceeded, "it does not compress as planned");
  }
  Memory* const source = fill.source ? &memories_.at(*fill.source) : nullptr;
  if (source != nullptr && source->damaged) {
    return Error(ErrorCode::kCorruptedModel, "what it is made from is damaged");
  }
  if (!bad || !random_.Percent(12)) return OkStatus();
  static const std::vector<ErrorCode> kCodes = {ErrorCode::kIoError, ErrorCode::kCorruptedModel,
                                                ErrorCode::kTimeout, ErrorCode::kInternal};
  const ErrorCode code = random_.OneOf(kCodes);
  if (source != nullptr && source->form == Form::kCompressed) {
    source->damaged = code == ErrorCode::kCorruptedModel;
  }
  return Error(code, "it failed");
}

void FakeTiers::End(PlacementId id, uint64_t life, const Fill& fill) {
  const auto found = memories_.find(id);
  const bool gone = found == memories_.end() || lives_[fill.place] != life;
  // A report may be late: of a worker that is dead, or of a fill that was stopped.
  if (gone && random_.OneIn(2)) return;
  if (gone) return report_(Filled{.placement = id, .bytes = fill.bytes, .seconds = 1});
  Memory& memory = found->second;
  std::optional<ByteCount> needs;
  const Status outcome = Outcome(fill, memory, needs);
  if (!outcome.ok()) {
    memory.state = Memory::State::kFailed;
    return report_(FillFailed{id, outcome, needs});
  }
  memory.state = Memory::State::kReady;
  if (fill.form == Form::kCompressed) {
    const ByteCount raw = Universe::BytesOf(memory.content);
    memory.bytes = ByteCount(raw.value() * (50 + memory.content * 10 % 60) / 100);
  }
  Filled filled{.placement = id, .bytes = memory.bytes, .seconds = 1};
  if (!fill.source) filled.content = Universe::DigestOf(memory.content);
  report_(filled);
}

void FakeTiers::Do(const Release& release) {
  const auto found = memories_.find(release.placement);
  if (found != memories_.end()) {
    Memory& memory = found->second;
    if (memory.leases > 0) {
      violations_.Add(
          fmt::format("placement {} is released under a lease", release.placement.value()));
    }
    for (const auto& [id, other] : memories_) {
      const bool reads = other.source == release.placement &&
                         (other.state == Memory::State::kFilling || other.form == Form::kShared);
      if (reads && !other.lost && other.state != Memory::State::kFailed) {
        violations_.Add(fmt::format("placement {} is released, but {} is made from it",
                                    release.placement.value(), id.value()));
      }
    }
    memory.releasing = true;
  }
  timeline_.After(Delay(100), [this, id = release.placement] {
    memories_.erase(id);
    report_(Released{id});
  });
}

void FakeTiers::Do(const Compare& compare) {
  timeline_.After(Delay(50), [this, compare] {
    const auto a = memories_.find(compare.placement);
    const auto b = memories_.find(compare.with);
    if (a == memories_.end() || b == memories_.end()) {
      violations_.Add("a placement left while it was compared");
      return;
    }
    report_(Compared{compare.placement, compare.with, a->second.content == b->second.content});
  });
}

void FakeTiers::Lease(PlacementId id) {
  const auto found = memories_.find(id);
  if (found == memories_.end() || found->second.releasing) {
    violations_.Add(fmt::format("a lease on placement {}, which is not there", id.value()));
    return;
  }
  ++found->second.leases;
}

void FakeTiers::EndLease(PlacementId id) {
  const auto found = memories_.find(id);
  if (found != memories_.end()) --found->second.leases;
}

void FakeTiers::Start(const PlaceId& place) {
  dead_.insert(place);
  timeline_.After(Delay(300), [this, place] {
    if (dead_.erase(place) > 0) report_(PlaceUp{place});
  });
}

void FakeTiers::Kill(const PlaceId& place, bool for_good) {
  if (dead_.contains(place)) return;
  ++lives_[place];
  dead_.insert(place);
  for (auto it = memories_.begin(); it != memories_.end();) {
    Memory& memory = it->second;
    const bool dies = memory.place == place && !memory.lost;
    if (dies) memory.lost = true;
    it = dies && memory.leases == 0 ? memories_.erase(it) : std::next(it);
  }
  report_(PlaceDown{place, Error(ErrorCode::kDeviceUnavailable, "the worker died"), for_good});
  if (!for_good) Start(place);
}

void FakeTiers::Observe(const PlaceId& place) {
  if (dead_.contains(place)) return;
  if (bad && random_.OneIn(4)) {
    const PlacementId id(1'000'000'000 + ++strays_);
    memories_[id] = {.place = place,
                     .bytes = ByteCount(10),
                     .content = kNoContent,
                     .state = Memory::State::kReady};
  }
  Observed observed{.place = place};
  for (auto it = memories_.begin(); it != memories_.end();) {
    const Memory& memory = it->second;
    const bool there =
        memory.place == place && memory.state == Memory::State::kReady && !memory.lost;
    if (there && bad && memory.leases == 0 && random_.OneIn(6)) {
      it = memories_.erase(it);
      continue;
    }
    if (there) observed.there[it->first] = memory.bytes;
    ++it;
  }
  report_(observed);
}

void FakeTiers::Clear() {
  memories_.clear();
  dead_.clear();
  for (auto& [place, life] : lives_) ++life;
}

}  // namespace warmset::place
