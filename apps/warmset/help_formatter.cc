#include "help_formatter.h"

#include <algorithm>
#include <sstream>

#include "text.h"

namespace warmset::cli {
namespace {

constexpr size_t kUsualColumns = 80;
constexpr size_t kMostColumns = 100;   // longer lines are hard to read
constexpr size_t kCommandColumn = 14;  // where the descriptions of commands begin
constexpr size_t kLeastDescription = 30;

std::string Fit(const std::string& text, size_t columns, size_t indent) {
  return Wrap(text, std::max(columns - std::min(columns, indent), kLeastDescription));
}

}  // namespace

HelpFormatter::HelpFormatter(size_t columns)
    : columns_(columns == 0 ? kUsualColumns : std::min(columns, kMostColumns)) {
  label("SUBCOMMAND", "COMMAND");
  label("Positionals", "Arguments");
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  return Fit(option->get_description(), columns_, column_width_);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  const bool has_value = option->nonpositional() && option->get_type_size() != 0;
  return has_value ? " " + option->get_type_name() : "";
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  std::ostringstream out;
  CLI::detail::format_help(out, command->get_display_name(true),
                           Fit(command->get_description(), columns_, kCommandColumn),
                           kCommandColumn);
  return out.str();
}

}  // namespace warmset::cli
