#include "inspect/problems.h"

#include <algorithm>
#include <utility>

namespace warmset {
namespace {

constexpr size_t kMaxProblems = 20;

Verdict VerdictOf(const Status& problem) { return FindingOf(problem, "").verdict; }

bool IsLess(const Status& a, const Status& b) { return VerdictOf(a) < VerdictOf(b); }

}  // namespace

void Problems::Add(Status problem) {
  if (problem.ok()) return;
  if (problems_.size() < kMaxProblems) {
    problems_.push_back(std::move(problem));
    return;
  }
  const auto least = std::min_element(problems_.begin(), problems_.end(), IsLess);
  if (IsLess(*least, problem)) *least = std::move(problem);
}

void Problems::AddFrom(const Problems& other, Verdict at_least) {
  for (const Status& problem : other.problems_) {
    if (VerdictOf(problem) >= at_least) Add(problem);
  }
}

void Problems::ForgetCorruption() {
  std::erase_if(problems_,
                [](const Status& problem) { return VerdictOf(problem) == Verdict::kCorrupt; });
}

Verdict Problems::worst() const {
  Verdict worst = Verdict::kOk;
  for (const Status& problem : problems_) worst = std::max(worst, VerdictOf(problem));
  return worst;
}

Status Problems::Report(FileContents& contents) && {
  if (problems_.empty()) return OkStatus();
  const auto worst = std::max_element(problems_.begin(), problems_.end(), IsLess);
  for (auto problem = problems_.begin(); problem != problems_.end(); ++problem) {
    if (problem != worst) contents.findings.push_back(FindingOf(*problem, ""));
  }
  return std::move(*worst);
}

}  // namespace warmset
