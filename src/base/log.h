// How the daemon and its workers write their logs. Only in this header, so that only
// programs that log need spdlog.
#pragma once

#include <string>

#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace warmset {

// From here on spdlog writes lines to stderr that begin with the local time and the
// level; `level` is one of spdlog's names. Call it once, before other threads start.
inline void StartLog(const std::string& program, const std::string& level) {
  spdlog::set_default_logger(spdlog::stderr_color_mt(program));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(level));
}

}  // namespace warmset
