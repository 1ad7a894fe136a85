#include "progress_bar.h"

#include "base/strong.h"
#include "gtest/gtest.h"
#include "text.h"

namespace warmset::cli {
namespace {

using namespace std::chrono_literals;

v1::Progress Reading(uint64_t done, uint64_t total) {
  v1::Progress progress;
  progress.set_stage("read");
  progress.set_item("unet");
  progress.set_done(done);
  progress.set_total(total);
  progress.set_unit("bytes");
  return progress;
}

TEST(RenderProgress, ShowsRateAndRemainingTime) {
  EXPECT_EQ(
      RenderProgress(Reading(kGiB, 4 * kGiB), kGiB, 500ms, 200),
      "read unet  [======                  ]  25%  1.00 GiB of 4.00 GiB  2.00 GiB/s  1.5 s left");
}

TEST(RenderProgress, HasNoRateAtFirst) {
  EXPECT_EQ(RenderProgress(Reading(0, 4 * kGiB), 0, 0ns, 200),
            "read unet  [                        ]   0%  0 B of 4.00 GiB");
}

TEST(RenderProgress, NeverSaysMoreThanAll) {
  EXPECT_EQ(RenderProgress(Reading(3 * kMiB, 2 * kMiB), 0, 0ns, 200),
            "read unet  [========================] 100%  3.00 MiB of 2.00 MiB");
  // 99.9 % is not done.
  EXPECT_NE(RenderProgress(Reading(999, 1000), 0, 0ns, 200).find(" 99%"), std::string::npos);
}

TEST(RenderProgress, CountsFilesWithoutATotal) {
  v1::Progress progress;
  progress.set_stage("scan");
  progress.set_done(1200);
  progress.set_unit("files");
  EXPECT_EQ(RenderProgress(progress, 1200, 1s, 200), "scan  1200 files  1200 files/s");
}

TEST(RenderProgress, TheBarShrinksAndTheTotalStays) {
  const auto line = [](size_t columns) {
    return RenderProgress(Reading(kGiB, 4 * kGiB), kGiB, 500ms, columns);
  };
  EXPECT_EQ(line(80),
            "read unet  [====            ]  25%  1.00 GiB of 4.00 GiB  2.00 GiB/s  1.5 s left");
  EXPECT_EQ(line(63), "read unet  25%  1.00 GiB of 4.00 GiB  2.00 GiB/s  1.5 s left");
  EXPECT_EQ(line(40), "read unet  25%  1.00 GiB of 4.00 GiB");
  EXPECT_EQ(line(28), " 25%  1.00 GiB of 4.00 GiB");
}

TEST(RenderProgress, FitsTheTerminal) {
  v1::Progress progress = Reading(kGiB, 4 * kGiB);
  progress.set_item(std::string(300, 'x') + "\x1b[2J");
  for (const size_t columns : {1u, 20u, 80u}) {
    const std::string line = RenderProgress(progress, kGiB, 1s, columns);
    EXPECT_LE(Columns(line), columns);
    EXPECT_EQ(Printable(line), line);
  }
}

}  // namespace
}  // namespace warmset::cli
