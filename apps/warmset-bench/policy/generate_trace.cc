#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "fmt/format.h"
#include "policy/trace.h"

namespace warmset::bench {
namespace {

constexpr uint32_t kBases = 105;
constexpr uint32_t kLoras = 874;
constexpr double kBaseExponent = 1.43;
constexpr double kLoraExponent = 0.92;
constexpr double kWithLora = 0.22;
constexpr double kNewUser = 0.158;
constexpr double kRepeatBase = 0.72;
constexpr double kRepeatLora = 0.80;
constexpr double kRecencyExponent = 1.8;  // of the users that come back
constexpr uint64_t kScanEvery = 5000;     // requests

using Random = std::mt19937_64;

double Uniform(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1.0p-53;  // the same with every library
}

// Draws 0, 1, ... with weights 1, 2^-s, 3^-s, ...
class Zipf {
 public:
  Zipf(uint32_t count, double exponent) {
    double sum = 0;
    for (uint32_t i = 1; i <= count; ++i) {
      sum += std::pow(i, -exponent);
      sums_.push_back(sum);
    }
  }
  uint32_t Draw(Random& random) const {
    const double at = Uniform(random) * sums_.back();
    return static_cast<uint32_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

TraceObject MakeObject(std::string name, double megabytes) {
  TraceObject object;
  object.name = std::move(name);
  object.bytes = static_cast<uint64_t>(megabytes * 1e6);
  object.load_seconds = 0.1 + static_cast<double>(object.bytes) / 3e9;
  return object;
}

class Generator {
 public:
  explicit Generator(const GeneratorOptions& options) : options_(options), random_(options.seed) {}

  Trace Generate() {
    for (uint32_t i = 0; i < kBases; ++i) {
      trace_.objects.push_back(
          MakeObject(fmt::format("base-{}", i), 2000 + 5000 * Uniform(random_)));
    }
    for (uint32_t i = 0; i < kLoras; ++i) {
      trace_.objects.push_back(MakeObject(fmt::format("lora-{}", i), 38 + 418 * Uniform(random_)));
    }
    while (trace_.requests.size() < options_.requests) {
      if (options_.kind == TraceKind::kLoop) {
        Add(0, {Number() % kBases});
      } else if (options_.kind == TraceKind::kScan && Number() % kScanEvery == kScanEvery - 1) {
        for (uint32_t base = 0; base < kBases; ++base) Add(0, {base});
      } else {
        AddDrawn();
      }
    }
    return std::move(trace_);
  }

 private:
  struct User {
    std::optional<uint32_t> base;
    std::optional<uint32_t> lora;
  };

  uint32_t Number() const { return static_cast<uint32_t>(trace_.requests.size()); }

  // Popular objects become unpopular in the middle of a trace of that kind.
  uint32_t Ranked(uint32_t rank, uint32_t count) const {
    const bool swapped =
        options_.kind == TraceKind::kSwap && trace_.requests.size() >= options_.requests / 2;
    return swapped ? count - 1 - rank : rank;
  }

  // Users come back the more likely the shorter ago they were here.
  size_t DrawUser() {
    if (users_.empty() || Uniform(random_) < kNewUser) {
      users_.emplace_back();
      recent_.push_back(users_.size() - 1);
      return recent_.back();
    }
    const double far = std::pow(Uniform(random_), -1 / (kRecencyExponent - 1)) - 1;
    const size_t back = std::min(static_cast<size_t>(std::min(far, 1e9)), recent_.size() - 1);
    const auto place = recent_.end() - 1 - static_cast<std::ptrdiff_t>(back);
    const size_t user = *place;
    recent_.erase(place);
    recent_.push_back(user);
    return user;
  }

  void AddDrawn() {
    const size_t number = DrawUser();
    User& user = users_[number];
    if (!user.base || Uniform(random_) >= kRepeatBase) {
      user.base = Ranked(bases_.Draw(random_), kBases);
    }
    std::vector<uint32_t> objects = {*user.base};
    if (Uniform(random_) < kWithLora) {
      if (!user.lora || Uniform(random_) >= kRepeatLora) {
        user.lora = kBases + Ranked(loras_.Draw(random_), kLoras);
      }
      objects.push_back(*user.lora);
    }
    Add(number, std::move(objects));
  }

  void Add(size_t user, std::vector<uint32_t> objects) {
    trace_.requests.push_back({static_cast<double>(Number()), std::to_string(user),
                               std::move(objects)});
  }

  const GeneratorOptions options_;
  Random random_;
  const Zipf bases_{kBases, kBaseExponent};
  const Zipf loras_{kLoras, kLoraExponent};
  std::vector<User> users_;
  std::vector<size_t> recent_;  // users, the latest last
  Trace trace_;
};

}  // namespace

Trace GenerateTrace(const GeneratorOptions& options) { return Generator(options).Generate(); }

}  // namespace warmset::bench
