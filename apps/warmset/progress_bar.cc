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
constexpr size_t kItemColumns = 30;

std::string Amount(double amount, const std::string& unit) {
  const auto whole = static_cast<uint64_t>(amount);
  return unit == "bytes" ? FormatSize(ByteCount(whole)) : fmt::format("{} {}", whole, unit);
}

}  // namespace

std::string RenderProgress(const v1::Progress& progress, uint64_t advanced,
                           std::chrono::nanoseconds elapsed, size_t columns) {
  const auto done = static_cast<double>(progress.done());
  const auto total = static_cast<double>(progress.total());
  std::string line = Printable(progress.stage());
  if (!progress.item().empty()) {
    line += " " + ShortenMiddle(Printable(progress.item()), kItemColumns);
  }
  if (progress.total() > 0) {
    const double part = std::min(done / total, 1.0);
    const auto full = static_cast<size_t>(std::lround(part * double{kBarColumns}));
    line += fmt::format("  [{}{}] {:3.0f}%  {} of {}", std::string(full, '='),
                        std::string(kBarColumns - full, ' '), std::floor(part * 100),
                        Amount(done, progress.unit()), Amount(total, progress.unit()));
  } else {
    line += "  " + Amount(done, progress.unit());
  }
  const double seconds = std::chrono::duration<double>(elapsed).count();
  if (advanced > 0 && seconds >= 0.2) {
    const double rate = static_cast<double>(advanced) / seconds;
    line += fmt::format("  {}/s", Amount(rate, progress.unit()));
    if (done < total) {
      const std::chrono::duration<double> left((total - done) / rate);
      line += fmt::format(
          "  {} left", FormatDuration(std::chrono::duration_cast<std::chrono::nanoseconds>(left)));
    }
  }
  return ShortenMiddle(line, columns);
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
