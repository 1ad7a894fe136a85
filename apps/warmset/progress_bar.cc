#include "progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/units.h"
#include "fmt/format.h"
#include "os/terminal.h"
#include "text.h"

namespace warmset::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr size_t kBarColumns = 24;
constexpr size_t kLeastBarColumns = 4;
constexpr size_t kBarFrame = 4;  // two blanks and two brackets
constexpr size_t kItemColumns = 40;
constexpr size_t kLeastItemColumns = 8;

std::string Amount(double amount, const std::string& unit) {
  const auto whole = static_cast<uint64_t>(amount);
  return unit == "bytes" ? FormatSize(ByteCount(whole)) : fmt::format("{} {}", whole, unit);
}

}  // namespace

std::string RenderProgress(const v1::Progress& progress, uint64_t advanced,
                           std::chrono::nanoseconds elapsed, size_t columns) {
  const auto done = static_cast<double>(progress.done());
  const auto total = static_cast<double>(progress.total());
  // What a narrow terminal has no room for goes from the last of these to the first:
  // how much is done, stage, remaining time, rate, item, bar.
  const std::string stage = Printable(progress.stage());
  std::string amounts = Amount(done, progress.unit());
  const double part = progress.total() > 0 ? std::min(done / total, 1.0) : 0;
  if (progress.total() > 0) {
    amounts = fmt::format("{:3.0f}%  {} of {}", std::floor(part * 100), amounts,
                          Amount(total, progress.unit()));
  }
  std::string rate;
  std::string left;
  const double seconds = std::chrono::duration<double>(elapsed).count();
  if (advanced > 0 && seconds >= 0.2) {
    const double speed = static_cast<double>(advanced) / seconds;
    rate = fmt::format("  {}/s", Amount(speed, progress.unit()));
    if (done < total) {
      const std::chrono::duration<double> rest((total - done) / speed);
      left = fmt::format(
          "  {} left", FormatDuration(std::chrono::duration_cast<std::chrono::nanoseconds>(rest)));
    }
  }
  // Percentages have their own blanks.
  const std::string gap(progress.total() > 0 ? 1 : 2, ' ');
  size_t used = stage.size() + gap.size() + amounts.size();
  const auto take = [&](size_t wanted) {
    const size_t given = std::min(wanted, columns > used ? columns - used : 0);
    used += given;
    return given;
  };
  for (std::string* const text : {&left, &rate}) {
    if (used + text->size() > columns) text->clear();
    used += text->size();
  }
  const std::string item = ShortenMiddle(Printable(progress.item()), kItemColumns);
  size_t item_columns = item.empty() ? 0 : take(Columns(item) + 1);
  item_columns -= item_columns > 0 ? 1 : 0;
  size_t bar = progress.total() > 0 ? take(kBarColumns + kBarFrame) : 0;
  bar -= std::min(bar, kBarFrame);
  std::string line = stage;
  if (item_columns >= kLeastItemColumns || item_columns >= Columns(item)) {
    line += (item.empty() ? "" : " ") + ShortenMiddle(item, item_columns);
  }
  if (bar >= kLeastBarColumns) {
    const auto full = static_cast<size_t>(std::lround(part * static_cast<double>(bar)));
    line += fmt::format("  [{}{}]", std::string(full, '='), std::string(bar - full, ' '));
  }
  line += gap + amounts + rate + left;
  return ShortenMiddle(Columns(line) <= columns ? line : amounts, columns);
}

ProgressBar::ProgressBar() : on_terminal_(os::IsTerminal(STDERR_FILENO)) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::Update(const v1::Progress& progress) {
  if (!on_terminal_) return;
  const Clock::time_point now = Clock::now();
  if (stage_ != progress.stage() || progress.done() < stage_done_) {
    stage_ = progress.stage();
    stage_began_ = now;
    stage_done_ = progress.done();
  } else if (now - last_drawn_ < kRedraw) {
    return;
  }
  last_drawn_ = now;
  drawn_ = true;
  const unsigned columns = os::TerminalColumns(STDERR_FILENO);
  const std::string line = RenderProgress(progress, progress.done() - stage_done_,
                                          now - stage_began_, columns > 1 ? columns - 1 : 79);
  std::fputs(("\r" + line + "\x1b[K").c_str(), stderr);
}

}  // namespace warmset::cli
