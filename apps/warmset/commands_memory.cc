// What is in RAM and on devices: cache, preload, uncache, path, load, unload.
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/units.h"
#include "commands.h"
#include "fmt/format.h"
#include "model/cache_strategy.h"
#include "os/file.h"
#include "render.h"
#include "usage.h"

namespace warmset::cli {
namespace {

struct ModelArguments {
  std::string model;
  std::vector<std::string> components;
  std::string device;
  std::string pool;
  bool force = false;
  // Of `cache`; nothing for what is not given.
  std::optional<std::string> strategy;
  std::optional<std::string> priority;
  std::optional<std::string> keep;
  std::optional<bool> pinned;
};
using ModelArgumentsPtr = std::shared_ptr<ModelArguments>;

// Cache, Uncache, Load and Unload name their model alike.
template <typename Call>
Call& Fill(Call& call, const ModelArguments& arguments) {
  call.set_model(arguments.model);
  for (const std::string& component : arguments.components) call.add_components(component);
  return call;
}

// What is written as a path is that file; no model's name begins so. A folder is left to
// the daemon, which knows it by name.
bool IsFile(const std::string& model) {
  const bool is_path =
      model.starts_with('/') || model.starts_with("./") || model.starts_with("../");
  std::error_code error;
  return is_path && !std::filesystem::is_directory(model, error);
}

// Makes the request about the model that `call`, a part of it, names, or about the file
// that is passed along.
template <typename Call>
StatusOr<v1::Response> CallAbout(const Context& context, const ModelArguments& arguments,
                                 v1::Request& request, Call& call) {
  if (!IsFile(arguments.model)) return context.Call(std::move(request));
  call.clear_model();
  call.set_file(true);
  std::error_code error;
  call.set_file_path(std::filesystem::absolute(arguments.model, error).lexically_normal());
  ASSIGN_OR_RETURN(os::UniqueFd file, os::OpenForRead(arguments.model));
  return context.Call(std::move(request), {wire::Share(std::move(file))});
}

StatusOr<v1::CacheSettings> SettingsOf(const ModelArguments& arguments) {
  v1::CacheSettings settings;
  const auto or_default = [](const std::string& name) { return name == "default" ? "" : name; };
  if (arguments.strategy) settings.set_strategy(or_default(*arguments.strategy));
  if (arguments.priority) settings.set_priority(*arguments.priority);
  if (arguments.pinned) settings.set_pinned(*arguments.pinned);
  if (arguments.keep) {
    ASSIGN_OR_RETURN(const std::chrono::seconds keep, ParseDuration(*arguments.keep));
    settings.set_keep_seconds(static_cast<uint64_t>(keep.count()));
  }
  return settings;
}

StatusOr<int> RunCache(const Context& context, const ModelArguments& arguments) {
  v1::Request request;
  v1::Cache& cache = Fill(*request.mutable_cache(), arguments);
  cache.set_force(arguments.force);
  ASSIGN_OR_RETURN(*cache.mutable_settings(), SettingsOf(arguments));
  ASSIGN_OR_RETURN(const v1::Response response, CallAbout(context, arguments, request, cache));
  return context.Show(response.cache(),
                      [&](const Screen&) { return RenderCached(response.cache()); });
}

StatusOr<int> RunPreload(const Context& context, const ModelArguments& arguments) {
  v1::Request request;
  v1::PreloadModel& preload = Fill(*request.mutable_preload_model(), arguments);
  ASSIGN_OR_RETURN(const v1::Response response, CallAbout(context, arguments, request, preload));
  return context.Show(response.preload(),
                      [&](const Screen&) { return RenderPreload(response.preload()); });
}

StatusOr<int> RunUncache(const Context& context, const ModelArguments& arguments) {
  v1::Request request;
  Fill(*request.mutable_uncache(), arguments);
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  return context.Show(response.uncache(),
                      [&](const Screen&) { return RenderUncached(response.uncache()); });
}

StatusOr<int> RunPath(const Context& context, const ModelArguments& arguments) {
  v1::Request request;
  v1::GetPath& path = *request.mutable_get_path();
  path.set_model(arguments.model);
  ASSIGN_OR_RETURN(const v1::Response response, CallAbout(context, arguments, request, path));
  const v1::PathReply& reply = response.path();
  if (!reply.reason().empty() && !context.json) {
    PrintNote(fmt::format("no file of its own, but a link that opens for programs of this user "
                          "while the daemon runs: {}",
                          Printable(reply.reason())));
  }
  return context.Show(reply, [&](const Screen&) { return reply.path() + "\n"; });
}

StatusOr<int> RunLoad(const Context& context, const ModelArguments& arguments) {
  v1::Request request;
  v1::Load& load = Fill(*request.mutable_load(), arguments);
  load.set_device(arguments.device);
  load.set_pool(arguments.pool);
  load.set_force(arguments.force);
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  return context.Show(response.load(),
                      [&](const Screen&) { return RenderLoaded(response.load()); });
}

StatusOr<int> RunUnload(const Context& context, const ModelArguments& arguments) {
  v1::Request request;
  Fill(*request.mutable_unload(), arguments).set_device(arguments.device);
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  return context.Show(response.unload(),
                      [&](const Screen&) { return RenderUnloaded(response.unload()); });
}

StatusOr<int> ShowPlan(const Context& context, v1::Plan plan) {
  v1::Request request;
  *request.mutable_plan() = std::move(plan);
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  ASSIGN_OR_RETURN(const int shown, context.Show(response.plan(), [&](const Screen& screen) {
    return RenderPlan(response.plan(), screen);
  }));
  return response.plan().has_refused() ? kExitFailure : shown;
}

StatusOr<int> RunPlanCache(const Context& context, const ModelArguments& arguments) {
  v1::Plan plan;
  return ShowPlan(context, Fill(plan, arguments));
}

StatusOr<int> RunPlanLoad(const Context& context, const ModelArguments& arguments) {
  v1::Plan plan;
  Fill(plan, arguments).set_load(true);
  plan.set_device(arguments.device);
  plan.set_pool(arguments.pool);
  return ShowPlan(context, std::move(plan));
}

// A strategy, in our words or those of others, or "default".
CLI::Validator Strategy() {
  std::vector<std::string> words(kCacheStrategyNames.begin(), kCacheStrategyNames.end());
  words.emplace_back("default");
  CLI::Validator ours = OneOf(words);
  return CLI::Validator(
      [ours](std::string& text) {
        if (const auto known = CacheStrategyFromName(text)) text = CacheStrategyName(*known);
        return ours(text);
      },
      "");
}

void AddModel(CLI::App* command, const ModelArgumentsPtr& arguments) {
  command->add_option("MODEL", arguments->model, "its name or id, or a unique start of one")
      ->required();
}

void AddModelOrFile(CLI::App* command, const ModelArgumentsPtr& arguments) {
  command
      ->add_option("MODEL", arguments->model,
                   "its name or id, or a unique start of one; or a file, as ./FILE or /FILE")
      ->required();
}

void AddComponents(CLI::App* command, const ModelArgumentsPtr& arguments) {
  command->add_option("-c,--component", arguments->components, "only this part; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
}

void AddPlacement(CLI::App* command, const ModelArgumentsPtr& arguments) {
  command->add_option("--device", arguments->device, "the device; the first one if not given")
      ->type_name("ID");
  command
      ->add_option("--pool", arguments->pool,
                   "shared: the pages in RAM themselves; dedicated: the device's own memory")
      ->type_name("shared|dedicated")
      ->transform(OneOf({"shared", "dedicated"}));
}

void AddForce(CLI::App* command, const ModelArgumentsPtr& arguments) {
  command->add_flag("--force", arguments->force,
                    "also a model that can't be used as a whole: the parts that can be read");
}

}  // namespace

void AddCache(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ModelArguments>();
  CLI::App* const command = AddClientCommand(app, context, "cache", "Read a model into RAM",
                                             "warmset cache sdxl --component unet\n"
                                             "  warmset cache llama --strategy memory --keep 30m");
  AddModelOrFile(command, arguments);
  AddComponents(command, arguments);
  command
      ->add_option("--strategy", arguments->strategy,
                   "how the model is kept in RAM from now on: speed is raw, memory compressed, "
                   "balanced compressed when not in use, adaptive what saves most load time")
      ->type_name("speed|memory|balanced|adaptive|default")
      ->transform(Strategy());
  command->add_option("--priority", arguments->priority, "models of low priority leave RAM first")
      ->type_name("high|medium|low")
      ->transform(OneOf({"high", "medium", "low"}));
  command->add_flag("--pin,!--no-pin", arguments->pinned, "never evict it; --no-pin undoes it");
  command
      ->add_option("--keep", arguments->keep,
                   "keep it in RAM for so long after its last use, then drop it; 0s: as long as "
                   "there is room")
      ->type_name("DURATION")
      ->check(Duration());
  AddForce(command, arguments);
  OnCommand(command, context, RunCache, arguments);
}

void AddPreload(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ModelArguments>();
  CLI::App* const command = AddClientCommand(
      app, context, "preload", "Read a model into RAM in the background", "warmset preload sdxl");
  AddModelOrFile(command, arguments);
  AddComponents(command, arguments);
  OnCommand(command, context, RunPreload, arguments);
}

void AddUncache(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ModelArguments>();
  CLI::App* const command =
      AddClientCommand(app, context, "uncache", "Drop a model from RAM", "warmset uncache sdxl");
  AddModel(command, arguments);
  AddComponents(command, arguments);
  OnCommand(command, context, RunUncache, arguments);
}

void AddPath(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ModelArguments>();
  CLI::App* const command = AddClientCommand(
      app, context, "path", "Print a path of the cached model that any program can open and mmap",
      "llama-server --model \"$(warmset path tinyllama)\"");
  AddModelOrFile(command, arguments);
  OnCommand(command, context, RunPath, arguments);
}

void AddLoad(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ModelArguments>();
  CLI::App* const command = AddClientCommand(app, context, "load", "Place a model on a device",
                                             "warmset load sdxl --device host:0 --pool dedicated");
  AddModel(command, arguments);
  AddComponents(command, arguments);
  AddPlacement(command, arguments);
  AddForce(command, arguments);
  OnCommand(command, context, RunLoad, arguments);
}

void AddUnload(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ModelArguments>();
  CLI::App* const command = AddClientCommand(app, context, "unload", "Take a model off its devices",
                                             "warmset unload sdxl --device host:0");
  AddModel(command, arguments);
  AddComponents(command, arguments);
  command->add_option("--device", arguments->device, "from this one only")->type_name("ID");
  OnCommand(command, context, RunUnload, arguments);
}

void AddPlan(CLI::App& app, Context& context) {
  CLI::App* const plan = app.add_subcommand(
      "plan", "Show what caching or loading a model would evict, without doing it");
  plan->group("Commands");
  plan->get_help_ptr()->description("print this help");
  plan->require_subcommand(1);
  plan->footer("Example:\n  warmset plan cache sdxl");
  const auto add = [&](const std::string& name, const std::string& description, auto run) {
    const auto arguments = std::make_shared<ModelArguments>();
    CLI::App* const command = AddClientCommand(*plan, context, name, description,
                                               fmt::format("warmset plan {} sdxl", name));
    AddModel(command, arguments);
    AddComponents(command, arguments);
    if (name == "load") AddPlacement(command, arguments);
    OnCommand(command, context, run, arguments);
  };
  add("cache", "What `cache` would do", RunPlanCache);
  add("load", "What `load` would do", RunPlanLoad);
}

}  // namespace warmset::cli
