#include "doctor/check.h"

#include <algorithm>

#include "base/json_writer.h"
#include "fmt/format.h"

namespace warmset::cli {
namespace {

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarn:
      return "warn";
    case Health::kFail:
      return "fail";
  }
  return "";
}

std::string Mark(Health health, const Style& style) {
  const std::string text = fmt::format("{:4}", HealthName(health));
  switch (health) {
    case Health::kOk:
      return style.Green(text);
    case Health::kWarn:
      return style.Yellow(text);
    case Health::kFail:
      return style.Red(text);
  }
  return text;
}

}  // namespace

Check Ok(std::string name, std::string finding) {
  return {std::move(name), Health::kOk, std::move(finding), ""};
}

Check Warn(std::string name, std::string finding, std::string mend) {
  return {std::move(name), Health::kWarn, std::move(finding), std::move(mend)};
}

Check Fail(std::string name, std::string finding, std::string mend) {
  return {std::move(name), Health::kFail, std::move(finding), std::move(mend)};
}

bool AnyFailed(const Checks& checks) {
  return std::any_of(checks.begin(), checks.end(),
                     [](const Check& check) { return check.health == Health::kFail; });
}

std::string RenderChecks(const Checks& checks, const Screen& screen) {
  size_t width = 0;
  for (const Check& check : checks) width = std::max(width, check.name.size());
  std::string text;
  for (const Check& check : checks) {
    text += fmt::format("{}  {:{}}  {}\n", Mark(check.health, screen.style), check.name, width,
                        Printable(check.finding));
    if (!check.mend.empty()) {
      text += fmt::format("{:{}}→ {}\n", "", width + 8, Printable(check.mend));
    }
  }
  return text;
}

std::string ChecksJson(const Checks& checks) {
  std::string text;
  JsonWriter json(text, JsonWriter::Form::kIndented);
  json.BeginObject();
  json.Field("ok", !AnyFailed(checks));
  json.Key("checks");
  json.BeginArray();
  for (const Check& check : checks) {
    json.BeginObject();
    json.Field("name", check.name);
    json.Field("health", HealthName(check.health));
    json.Field("finding", check.finding);
    json.Field("mend", check.mend);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return text + "\n";
}

}  // namespace warmset::cli
