#include "daemon/serve_flags.h"

#include "daemon/option_table.h"

namespace warmset {

void AddServeFlags(CLI::App& app, OptionFlags& flags) {
  app.add_option("--config", flags.config_file, "file to read instead of the usual warmset.toml")
      ->type_name("FILE");
  for (const OptionRow& row : OptionTable()) {
    const std::string flag(row.flag);
    const std::string help(row.help);
    CLI::Option* option = nullptr;
    if (IsList(row.shape)) {
      option = app.add_option_function<std::vector<std::string>>(
          flag, [&flags, &row](const auto& texts) { flags.values[std::string(row.key)] = texts; },
          help);
      option->allow_extra_args(false);
    } else {
      option = app.add_option_function<std::string>(
          flag, [&flags, &row](const auto& text) { flags.values[std::string(row.key)] = {text}; },
          help);
      option->take_last();
    }
    option->type_name(std::string(row.value_name));
  }
}

}  // namespace warmset
