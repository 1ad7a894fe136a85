// What is on the disks: scan, list, show, override.
#include <algorithm>
#include <filesystem>
#include <set>

#include "base/json_writer.h"
#include "base/nearest.h"
#include "commands.h"
#include "fmt/format.h"
#include "inspect/finding.h"
#include "inspect/identify/identify.h"
#include "render.h"
#include "usage.h"
#include "wire/plain_json.h"

namespace warmset::cli {
namespace {

struct ScanArguments {
  std::vector<std::string> paths;
  bool shallow = false;
};

StatusOr<int> RunScan(const Context& context, const ScanArguments& arguments) {
  v1::Request request;
  v1::Scan& scan = *request.mutable_scan();
  for (const std::string& path : arguments.paths) {
    std::error_code error;
    const auto absolute = std::filesystem::canonical(path, error);
    if (error) return ErrnoError(error.value(), "scan " + path);
    scan.add_paths(absolute.string());
  }
  if (arguments.shallow) scan.set_depth(v1::SHALLOW);
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  return context.Show(response.scan(),
                      [&](const Screen& screen) { return RenderScan(response.scan(), screen); });
}

struct ListArguments {
  std::string filter;
  std::string kind;
  std::string architecture;
  std::string verdict;
  std::string sort = "name";
  bool quiet = false;
};

void Sort(v1::ModelList& list, const std::string& by) {
  auto& models = *list.mutable_models();
  std::sort(models.begin(), models.end(), [&](const v1::ModelState& a, const v1::ModelState& b) {
    if (by == "size" && a.bytes() != b.bytes()) return a.bytes() > b.bytes();
    if (by == "used" && a.last_used_unix_ms() != b.last_used_unix_ms()) {
      return a.last_used_unix_ms() > b.last_used_unix_ms();
    }
    return a.name() < b.name();
  });
}

// An architecture that neither identification knows nor a model has is mistyped.
Status CheckArchitecture(const std::string& name, const v1::ModelList& list) {
  const std::vector<std::string_view> told = ModelArchitectures();
  std::set<std::string> names(told.begin(), told.end());
  for (const v1::ModelState& model : list.models()) names.insert(LowerCase(model.architecture()));
  if (name.empty() || names.contains(name) || IsKnownArchitecture(name)) return OkStatus();
  const std::vector<std::string_view> known(names.begin(), names.end());
  return Error(ErrorCode::kInvalidRequest,
               fmt::format("no architecture '{}' is known{}", name, NearText(name, known)));
}

std::vector<std::string> Verdicts() {
  std::vector<std::string> names;
  for (int number = 0; number <= static_cast<int>(Verdict::kUnsafe); ++number) {
    names.emplace_back(VerdictName(static_cast<Verdict>(number)));
  }
  return names;
}

std::vector<std::string> Kinds() {
  const auto kinds = ModelKinds();
  return {kinds.begin(), kinds.end()};
}

// Stores what is given in small letters, as all names of architectures are.
std::string Lower(std::string text) { return LowerCase(text); }

StatusOr<int> RunList(const Context& context, const ListArguments& arguments) {
  v1::Request request;
  request.mutable_list_models()->set_filter(arguments.filter);
  ASSIGN_OR_RETURN(v1::Response response, context.Call(std::move(request)));
  v1::ModelList& list = *response.mutable_models();
  RETURN_IF_ERROR(CheckArchitecture(arguments.architecture, list));
  const auto passes = [](const std::string& wanted, const std::string& value) {
    return wanted.empty() || wanted == LowerCase(value);
  };
  auto& models = *list.mutable_models();
  models.erase(std::remove_if(models.begin(), models.end(),
                              [&](const v1::ModelState& model) {
                                return !passes(arguments.kind, model.kind()) ||
                                       !passes(arguments.architecture, model.architecture()) ||
                                       !passes(arguments.verdict, model.verdict());
                              }),
               models.end());
  Sort(list, arguments.sort);
  // A root may be away, or not answer.
  v1::Request status_request;
  status_request.mutable_get_status();
  ASSIGN_OR_RETURN(const v1::Response answer, context.Call(std::move(status_request)));
  const v1::DaemonStatus& status = answer.status();
  return context.Show(list, [&](const Screen& screen) {
    if (!arguments.quiet) {
      return RenderList(list, screen) + (list.has_scan() ? RenderScan(list.scan()) : "") +
             RenderNotices(status.notices(), screen);
    }
    std::string names;
    for (const v1::ModelState& model : list.models()) names += Printable(model.name()) + "\n";
    return names;
  });
}

struct ShowArguments {
  std::string model;
  bool components = false;
  bool worker = false;
  bool compatibility = false;
  std::string device;
};

struct WorkerView {
  std::string device;
  v1::WorkerStateReply state;
};

StatusOr<std::vector<WorkerView>> AskWorkers(wire::Channel& channel) {
  v1::Request request;
  request.mutable_get_status();
  ASSIGN_OR_RETURN(const wire::Answer status, channel.Call(std::move(request)));
  std::vector<WorkerView> views;
  for (const v1::DeviceState& device : status.response.status().devices()) {
    v1::Request ask;
    ask.mutable_get_worker_state()->set_device(device.id());
    ASSIGN_OR_RETURN(wire::Answer answer, channel.Call(std::move(ask)));
    views.push_back({device.id(), std::move(*answer.response.mutable_worker_state())});
  }
  return views;
}

// {"model": ModelDetail, "workers": {DEVICE: WorkerStateReply}}.
std::string WorkersJson(const v1::ModelDetail& detail, const std::vector<WorkerView>& views) {
  std::string text;
  JsonWriter json(text, JsonWriter::Form::kIndented);
  json.BeginObject();
  json.Key("model");
  wire::WriteJson(detail, json);
  json.Key("workers");
  json.BeginObject();
  for (const WorkerView& view : views) {
    json.Key(view.device);
    wire::WriteJson(view.state, json);
  }
  json.EndObject();
  json.EndObject();
  return text + "\n";
}

StatusOr<int> ShowCompatibility(const Context& context, const ShowArguments& arguments) {
  v1::Request request;
  request.mutable_validate_compatibility()->set_model(arguments.model);
  request.mutable_validate_compatibility()->set_device(arguments.device);
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  const v1::CompatibilityReply& reply = response.compatibility();
  ASSIGN_OR_RETURN([[maybe_unused]] const int shown, context.Show(reply, [&](const Screen& screen) {
    return RenderCompatibility(reply, screen);
  }));
  return reply.compatible() ? 0 : kExitFailure;
}

StatusOr<int> RunShow(const Context& context, const ShowArguments& arguments) {
  if (arguments.compatibility) return ShowCompatibility(context, arguments);
  ASSIGN_OR_RETURN(wire::Channel channel, context.Connect());
  v1::Request request;
  request.mutable_get_model_detail()->set_name(arguments.model);
  ASSIGN_OR_RETURN(const wire::Answer answer, channel.Call(std::move(request)));
  const v1::ModelDetail& detail = answer.response.detail();
  std::vector<WorkerView> views;
  if (arguments.worker) {
    ASSIGN_OR_RETURN(views, AskWorkers(channel));
    if (context.json) {
      PrintOut(WorkersJson(detail, views));
      return 0;
    }
  }
  return context.Show(detail, [&](const Screen& screen) {
    std::string text = RenderDetail(detail, screen);
    if (arguments.components) text += "\n" + RenderComponents(detail, screen);
    for (const WorkerView& view : views) {
      text += "\n" + RenderWorkerView(view.device, view.state, detail, screen);
    }
    return text;
  });
}

struct OverrideArguments {
  std::string model;
  std::string kind;
  std::string architecture;
  bool clear = false;
  bool force = false;
};

// What is not given stays as it is set.
StatusOr<int> RunOverride(const Context& context, const OverrideArguments& arguments) {
  ASSIGN_OR_RETURN(wire::Channel channel, context.Connect());
  v1::Request request;
  v1::SetOverride& set = *request.mutable_set_override();
  set.set_model(arguments.model);
  set.set_force(arguments.force);
  if (!arguments.clear) {
    v1::Request ask;
    ask.mutable_get_model_detail()->set_name(arguments.model);
    ASSIGN_OR_RETURN(const wire::Answer now, channel.Call(std::move(ask)));
    *set.mutable_override() = now.response.detail().state().override();
    if (!arguments.kind.empty()) set.mutable_override()->set_kind(arguments.kind);
    if (!arguments.architecture.empty()) {
      set.mutable_override()->set_architecture(arguments.architecture);
    }
  }
  ASSIGN_OR_RETURN(const wire::Answer answer, channel.Call(std::move(request)));
  const v1::SetOverrideReply& reply = answer.response.override();
  return context.Show(reply, [&](const Screen&) { return RenderOverride(reply.state()); });
}

}  // namespace

void AddScan(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ScanArguments>();
  CLI::App* const command =
      AddClientCommand(app, context, "scan", "Look for models in the roots, or in other folders",
                       "warmset scan ~/models --shallow");
  command->add_option("DIR", arguments->paths, "folders; they are roots until the daemon ends");
  command->add_flag("--shallow", arguments->shallow, "not the folders below");
  OnCommand(command, context, RunScan, arguments);
}

void AddList(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ListArguments>();
  CLI::App* const command = AddClientCommand(app, context, "list", "List the models that are known",
                                             "warmset list --kind lora --filter style --sort size");
  command->alias("ls");
  command->add_option("--filter", arguments->filter, "only names that contain it, in any case")
      ->type_name("TEXT");
  command->add_option("--kind", arguments->kind, "only checkpoints, only LoRAs, ...")
      ->type_name("KIND")
      ->transform(OneOf(Kinds()));
  command->add_option("--architecture", arguments->architecture, "only of sdxl, only of llama, ...")
      ->type_name("NAME")
      ->transform(Lower);
  command->add_option("--verdict", arguments->verdict, "only those that are ok, incomplete, ...")
      ->type_name("VERDICT")
      ->transform(OneOf(Verdicts()));
  command->add_option("--sort", arguments->sort, "by size, name or last use")
      ->type_name("size|name|used")
      ->transform(OneOf({"size", "name", "used"}));
  command->add_flag("-q,--quiet", arguments->quiet, "names only");
  OnCommand(command, context, RunList, arguments);
}

void AddShow(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ShowArguments>();
  CLI::App* const command =
      AddClientCommand(app, context, "show", "Show all that is known about a model",
                       "warmset show stabilityai/sdxl --components");
  command->add_option("MODEL", arguments->model, "its name or id, or a unique start of one")
      ->required();
  command->add_flag("--components", arguments->components, "show a row for each component too");
  command->add_flag("--worker", arguments->worker,
                    "show what the device workers themselves say too");
  CLI::Option* const compatibility = command->add_flag("--compatibility", arguments->compatibility,
                                                       "show whether it can be used, and why not");
  command
      ->add_option("--device", arguments->device,
                   "with --compatibility: on a device of the daemon, or on such as "
                   "nvidia:8.6,memory=24GiB")
      ->type_name("DEVICE")
      ->needs(compatibility);
  OnCommand(command, context, RunShow, arguments);
}

void AddOverride(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<OverrideArguments>();
  CLI::App* const command =
      AddClientCommand(app, context, "override", "Set what a model is, where its files mislead",
                       "warmset override style.safetensors --kind lora --architecture sdxl");
  command->add_option("MODEL", arguments->model, "its name or id, or a unique start of one")
      ->required();
  CLI::Option* const kind =
      command->add_option("--kind", arguments->kind, "checkpoint, lora, vae, ...");
  CLI::Option* const architecture = command->add_option("--architecture", arguments->architecture,
                                                        "sdxl, flux.1-dev, llama, ...");
  kind->type_name("KIND")->transform(OneOf(Kinds()));
  architecture->type_name("NAME")->transform(Lower);
  CLI::Option* const clear =
      command->add_flag("--clear", arguments->clear, "use what its files say again")
          ->excludes(kind)
          ->excludes(architecture);
  command->parse_complete_callback([kind, architecture, clear] {
    if (kind->empty() && architecture->empty() && clear->empty()) {
      throw CLI::RequiredError("--kind, --architecture or --clear");
    }
  });
  command->add_flag("--force", arguments->force,
                    "also an architecture that Warmset does not know, to call models by");
  OnCommand(command, context, RunOverride, arguments);
}

}  // namespace warmset::cli
