// What a file or folder is, without a daemon: inspect.
#include <algorithm>
#include <cstdio>
#include <optional>

#include "commands.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "inspect/compatibility/device_check.h"
#include "inspect/onnx/runtime_profiles.h"
#include "inspection/reader_process.h"
#include "inspection/report.h"
#include "usage.h"

namespace warmset::cli {
namespace {

struct InspectArguments {
  std::vector<std::string> paths;
  bool tensors = false;
  std::optional<DeviceProfile> device;
  std::string runtime;
};

// Adds what is not there yet: the reader has looked at operators already.
void AddFindings(std::vector<Finding> more, std::vector<Finding>& findings) {
  for (Finding& finding : more) {
    const bool known = std::any_of(findings.begin(), findings.end(), [&](const Finding& there) {
      return there.message == finding.message;
    });
    if (!known) findings.push_back(std::move(finding));
  }
}

// Says what each path is: JSON as it comes, text as one table at the end.
class InspectRun {
 public:
  InspectRun(const Context& context, const InspectArguments& arguments)
      : context_(context), arguments_(arguments) {}

  StatusOr<int> Run() {
    for (const std::string& path : arguments_.paths) {
      RETURN_IF_ERROR(ReadModels(path, [this](const std::string& shown, StatusOr<Manifest> found) {
        const Status status = found.ok() ? Add(shown, *std::move(found)) : found.status();
        if (!status.ok()) Fail(shown, status);
      }));
    }
    if (!models_.empty()) {
      RETURN_IF_ERROR(PrintText(models_, arguments_.tensors, StdoutScreen()));
    }
    return all_ok_ ? 0 : kExitFailure;
  }

 private:
  Status Add(const std::string& path, Manifest manifest) {
    InspectedModel model{.path = path, .manifest = std::move(manifest), .device = {}};
    if (arguments_.device) {
      model.device = arguments_.device->name;
      AddFindings(CheckDevice(model.manifest, *arguments_.device), model.manifest.findings);
    }
    if (!arguments_.runtime.empty()) {
      AddFindings(CheckOperators(model.manifest.operators, arguments_.runtime),
                  model.manifest.findings);
    }
    all_ok_ = all_ok_ && model.manifest.verdict() == Verdict::kOk;
    if (context_.json) {
      ASSIGN_OR_RETURN(const std::string line, ReportJson(model, arguments_.tensors));
      PrintOut(line);
      std::fflush(stdout);  // before this process is copied for the next path
      return OkStatus();
    }
    if (!arguments_.tensors) {
      for (ComponentManifest& component : model.manifest.components) component.tensor_index = {};
    }
    models_.push_back(std::move(model));
    return OkStatus();
  }

  void Fail(const std::string& path, const Status& error) {
    all_ok_ = false;
    if (context_.json) PrintOut(ErrorJson(path, error));
    std::fflush(stdout);
    ReportError(Annotate(error, path));
  }

  const Context& context_;
  const InspectArguments& arguments_;
  std::vector<InspectedModel> models_;  // for the table
  bool all_ok_ = true;
};

StatusOr<int> RunInspect(const Context& context, const InspectArguments& arguments) {
  return InspectRun(context, arguments).Run();
}

}  // namespace

void AddInspect(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<InspectArguments>();
  CLI::App* const command =
      AddCommand(app, context, "inspect", "Say what a model is, and whether it can be used",
                 "warmset inspect --tensors ~/models/sdxl.safetensors");
  command->get_option("--json")->description("print one JSON object a line instead");
  command->add_option("PATH", arguments->paths, "files, models' folders or folders of models")
      ->required();
  command->add_flag("--tensors", arguments->tensors, "list the tensors too");
  const auto parse_device = [arguments](const std::string& text) {
    auto device = ParseDeviceProfile(text);
    if (!device.ok()) throw CLI::ValidationError("--device", std::string(Message(device.status())));
    arguments->device = *std::move(device);
  };
  command
      ->add_option_function<std::string>("--device", parse_device,
                                         "check for this device too: cpu, nvidia:8.6, "
                                         "amd:gfx1100, ...,memory=24GiB")
      ->type_name("DEVICE");
  std::vector<std::string> runtimes;
  for (const RuntimeProfile& profile : RuntimeProfiles()) runtimes.emplace_back(profile.name);
  command
      ->add_option("--runtime", arguments->runtime,
                   "check the operators of ONNX graphs for this runtime")
      ->type_name(fmt::format("{}", fmt::join(runtimes, "|")))
      ->transform(OneOf(runtimes));
  OnCommand(command, context, RunInspect, arguments);
}

}  // namespace warmset::cli
