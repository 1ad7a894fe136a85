#pragma once

#include <string>

#include "CLI/CLI.hpp"

namespace warmset::cli {

// Help that breaks descriptions between words, so that they stay in their column.
class HelpFormatter : public CLI::Formatter {
 public:
  // `columns` of the terminal; 0: it is none.
  explicit HelpFormatter(size_t columns);

  std::string make_option_desc(const CLI::Option* option) const override;
  // The value alone: what else holds is said in the description.
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;

 private:
  const size_t columns_;
};

}  // namespace warmset::cli
