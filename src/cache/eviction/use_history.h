// How often objects were asked for, whether they were in RAM or not: what policies
// and preloading judge by.
#pragma once

#include <array>
#include <cstdint>

namespace warmset {

// Of one object. Time is counted in requests for any object, numbered from 1.
struct UseHistory {
  // Of the windows that requests are counted in. Short ones follow a change of
  // popularity, long ones keep what is asked for now and again.
  static constexpr std::array<double, 3> kHalfLives = {3, 100, 3000};

  uint64_t requests = 0;       // ever
  uint64_t last_request = 0;   // by number; 0: none
  std::array<double, 3> rates{};  // by window: requests per request, as of the last one
  double interval = 0;         // between its requests, smoothed; 0: asked for once

  // Request number `now` is for this object. REQUIRES: now > last_request.
  void Count(uint64_t now);
  // The mean of the windows' rates, decayed until `now`.
  double RateAt(uint64_t now) const;

  friend bool operator==(const UseHistory&, const UseHistory&) = default;
};

}  // namespace warmset
