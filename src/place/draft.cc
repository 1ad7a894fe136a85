#include "place/draft.h"

#include <utility>

namespace warmset::place {
namespace {

class Drafter {
 public:
  Drafter(State& state, const SharedSnapshot& snapshot, bool from_files)
      : state_(state), snapshot_(snapshot), from_files_(from_files) {}

  Draft::Ref Want(uint32_t part, const PlaceId& place, Form form) {
    Row row{.place = place, .form = form, .snapshot = snapshot_, .part = part};
    row.content = state_.contents.Of(row.model_part().id);
    if (const Row* there = state_.rows.FindGiving(row.content, place, form)) {
      draft_.uses.insert(there->id);
      return there->id;
    }
    for (size_t i = 0; i < draft_.rows.size(); ++i) {
      const Row& other = draft_.rows[i].row;
      if (other.content == row.content && other.place == place && Gives(other.form, form)) return i;
    }
    row.bytes = form == Form::kShared ? ByteCount() : row.model_part().bytes;
    row.reload_seconds = row.model_part().reload_seconds;
    std::optional<Draft::Ref> source = SourceOf(row);
    draft_.rows.push_back({std::move(row), source});
    return draft_.rows.size() - 1;
  }

  Draft Take() { return std::move(draft_); }
  void AddTarget(Draft::Ref target) { draft_.targets.push_back(target); }

 private:
  std::optional<Draft::Ref> SourceOf(const Row& row) {
    const bool on_device = row.place != Ram();
    if (from_files_ && !on_device) return std::nullopt;
    if (on_device || row.form == Form::kNamed) {
      if (const Row* raw = state_.rows.FindGiving(row.content, Ram(), Form::kRaw)) return Use(*raw);
    }
    const Row* const compressed = state_.rows.FindVisible(row.content, Ram(), Form::kCompressed);
    if (row.form != Form::kShared && compressed != nullptr &&
        compressed->state == RowState::kReady) {
      return Use(*compressed);
    }
    if (on_device) return Want(row.part, Ram(), Form::kRaw);
    return std::nullopt;
  }
  Draft::Ref Use(const Row& row) {
    draft_.uses.insert(row.id);
    return row.id;
  }

  State& state_;
  const SharedSnapshot& snapshot_;
  const bool from_files_;
  Draft draft_;
};

}  // namespace

std::map<PlaceId, ByteCount> Draft::bytes() const {
  std::map<PlaceId, ByteCount> bytes;
  for (const NewRow& each : rows) bytes[each.row.place] += each.row.bytes;
  return bytes;
}

Draft MakeDraft(State& state, const Wanted& wanted, bool from_files) {
  Drafter drafter(state, wanted.snapshot, from_files);
  for (const uint32_t part : wanted.parts) {
    drafter.AddTarget(drafter.Want(part, wanted.place, wanted.form));
  }
  return drafter.Take();
}

std::vector<PlacementId> Make(State& state, const Draft& draft, RequestId request) {
  std::vector<PlacementId> made;
  const auto resolve = [&made](const Draft::Ref& ref) {
    const auto* const index = std::get_if<size_t>(&ref);
    return index != nullptr ? made[*index] : std::get<PlacementId>(ref);
  };
  for (const Draft::NewRow& each : draft.rows) {
    Row row = each.row;
    row.request = request;
    if (each.source) row.source = resolve(*each.source);
    made.push_back(state.rows.Add(std::move(row)).id);
  }
  std::vector<PlacementId> targets;
  for (const Draft::Ref& target : draft.targets) targets.push_back(resolve(target));
  return targets;
}

}  // namespace warmset::place
