// What rules say and what the atlas says of a group of tensors, made one.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "inspect/identify/atlas.h"
#include "inspect/identify/rule_book.h"

namespace warmset {

// True when both are one architecture, or one says more than the other of the same.
bool IsRelated(std::string_view a, std::string_view b);

// The confidence that likeness alone gives.
double ConfidenceOf(const Likeness& likeness);

// Rules know variants and sizes by single tensors; the atlas knows families by all
// names. A rule whose family the names deny loses confidence; rows that are as like as
// the first one share its confidence. Ranked.
std::vector<Candidate> JoinCandidates(std::vector<Candidate> by_rules,
                                      std::span<const Likeness> by_names, bool own_names = false);

// The bases that have a LoRA's layers, where few have: hints, since another model may
// have the same layers.
std::vector<Candidate> BasesWithLayers(const Atlas& atlas, std::span<const LayerShape> layers);

}  // namespace warmset
