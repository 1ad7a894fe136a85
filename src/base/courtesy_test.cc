#include "base/courtesy.h"

#include <thread>

#include "gtest/gtest.h"

namespace warmset {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(Courtesy, NobodyWaitsWhereNothingIsUrgent) {
  const Courtesy courtesy;
  nanoseconds patience = hours(1);
  courtesy.Wait(patience, {});
  EXPECT_EQ(patience, hours(1));
}

TEST(Courtesy, WaitsUntilWhatIsUrgentEnds) {
  Courtesy courtesy;
  courtesy.SetBusy(true);
  std::jthread background([&courtesy] {
    nanoseconds patience = hours(1);
    courtesy.Wait(patience, {});
    EXPECT_GT(patience.count(), 0);
  });
  courtesy.SetBusy(false);
}

TEST(Courtesy, PatienceEnds) {
  Courtesy courtesy;
  courtesy.SetBusy(true);
  nanoseconds patience = milliseconds(12);
  courtesy.Wait(patience, {});
  EXPECT_EQ(patience.count(), 0);
  courtesy.Wait(patience, {});  // returns at once, else never
}

TEST(Courtesy, AStopEndsTheWaiting) {
  Courtesy courtesy;
  courtesy.SetBusy(true);
  std::jthread background([&courtesy](const std::stop_token& stop) {
    nanoseconds patience = hours(1);
    courtesy.Wait(patience, stop);
    EXPECT_GT(patience.count(), 0);
  });
  background.request_stop();
}

}  // namespace
}  // namespace warmset
