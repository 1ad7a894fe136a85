// What is wrong with a command line, and what may have been meant.
#pragma once

#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace warmset::cli {

struct UsageError {
  std::string message;                  // what is wrong, the nearest words, who explains
  std::vector<std::string> candidates;  // the nearest commands or flags
  std::string more;                     // lines below the message, or empty
};

// REQUIRES: the parse of `app` ended with this error, which has an exit code.
UsageError ExplainUsage(const CLI::App& app, const CLI::ParseError& error);

// Accepts one of the words in any case, and gives it as it is written here; else a
// usage error that names them.
CLI::Validator OneOf(std::vector<std::string> words);
// Accepts what ParseDuration() does.
CLI::Validator Duration();

}  // namespace warmset::cli
