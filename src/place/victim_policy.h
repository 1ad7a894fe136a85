// The question that an eviction policy answers.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/digest.h"
#include "base/strong.h"

namespace warmset::place {

// A component in RAM that may leave it, as plain values.
struct Victim {
  ComponentId component{};  // the oldest of those that share the bytes
  ByteCount bytes{};        // in all its forms
  double reload_seconds = 0;
};

// Which of several equally important components leaves first. Has no clock: it counts uses.
// Not thread-safe.
class VictimPolicy {
 public:
  virtual ~VictimPolicy() = default;

  // A request wants the component, whether it is in RAM or not.
  virtual void Used(const Victim& component) = 0;
  // The index of the one to evict next. REQUIRES: there is one.
  virtual size_t Choose(std::span<const Victim> victims) = 0;
  // A policy that makes the same choices: for plans.
  virtual std::unique_ptr<VictimPolicy> Copy() const = 0;
};

}  // namespace warmset::place
