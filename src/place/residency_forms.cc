// Which forms of a component in RAM its strategy wants.
#include <algorithm>

#include "place/residency.h"
#include "place/retention.h"

namespace warmset::place {
namespace {

// Of a component that was never compressed; what bf16 weights come to.
ByteCount ExpectedCompressed(ByteCount raw) { return ByteCount(raw.value() * 7 / 10); }

}  // namespace

void Residency::ConsiderForms() {
  std::vector<PlacementId> raw_rows;
  for (const auto& [id, row] : state_.rows.all()) {
    const bool is_raw = row.place == Ram() && row.form == Form::kRaw && row.visible;
    if (is_raw && row.state == RowState::kReady) raw_rows.push_back(id);
  }
  for (const PlacementId id : raw_rows) {
    Row& raw = *state_.rows.Find(id);
    if (!IsDesired(state_, raw)) continue;
    Row* const compressed = state_.rows.FindVisible(raw.content, Ram(), Form::kCompressed);
    const bool has_both = compressed != nullptr && compressed->state == RowState::kReady;
    switch (StrategyOf(state_, raw.content)) {
      case CacheStrategy::kSpeed:
        if (has_both && !compressed->held()) ReleaseRow(*compressed, ReleaseReason::kUnwanted);
        break;
      case CacheStrategy::kMemory:
        if (compressed == nullptr) Compress(raw);
        if (has_both && !raw.held()) ReleaseRow(raw, ReleaseReason::kUnwanted);
        break;
      case CacheStrategy::kBalanced:
        if (compressed == nullptr && !raw.held()) Compress(raw);
        break;
      case CacheStrategy::kAdaptive:
        break;  // whoever makes the snapshots says which of the others it is by now
    }
  }
}

// Behind all other work: evicts nothing, and one at a time.
void Residency::Compress(const Row& raw) {
  const ContentTable::Content& content = *state_.contents.Get(raw.content);
  const bool busy =
      std::any_of(state_.rows.all().begin(), state_.rows.all().end(), [](const auto& each) {
        return each.second.form == Form::kCompressed && each.second.state != RowState::kReady;
      });
  if (busy || content.incompressible || short_of_room_.contains(Ram())) return;
  const ByteCount bytes = content.compressed_bytes.value_or(ExpectedCompressed(raw.bytes));
  if (!RoomAt(state_, Ram(), {}).Fits(bytes)) return;
  state_.rows.Add({.content = raw.content,
                   .place = Ram(),
                   .form = Form::kCompressed,
                   .snapshot = raw.snapshot,
                   .part = raw.part,
                   .source = raw.id,
                   .bytes = bytes,
                   .reload_seconds = raw.reload_seconds,
                   .digest = raw.digest});
  Changed();
}

void Residency::StopCompressing(const PlaceId& place) {
  std::vector<PlacementId> stopped;
  for (const auto& [id, row] : state_.rows.all()) {
    const bool runs = row.state == RowState::kWaiting || row.state == RowState::kFilling;
    if (row.place == place && row.form == Form::kCompressed && runs) stopped.push_back(id);
  }
  for (const PlacementId id : stopped) {
    ReleaseRow(*state_.rows.Find(id), ReleaseReason::kUnwanted);
  }
}

}  // namespace warmset::place
