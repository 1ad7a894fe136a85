// What a file or folder is, without a daemon: inspect.
#include <optional>

#include "commands.h"
#include "inspect/compatibility/device_check.h"
#include "inspection/model_folder.h"
#include "inspection/report.h"
#include "inspection/target.h"

namespace warmset::cli {
namespace {

struct InspectArguments {
  std::vector<std::string> paths;
  bool tensors = false;
  std::optional<DeviceProfile> device;
};

StatusOr<InspectedModel> Inspect(const Target& target,
                                 const std::optional<DeviceProfile>& device) {
  InspectedModel inspected{.path = target.path, .manifest = {}};
  if (!target.model.files.empty()) {
    ModelFolder files(target.folder, target.model);
    ASSIGN_OR_RETURN(const std::string encoded, InspectModel(target.model, files));
    ASSIGN_OR_RETURN(inspected.manifest, DecodeManifest(encoded));
  }
  auto& findings = inspected.manifest.findings;
  if (target.model.layout == ModelLayout::kFile && !target.model.files.empty()) {
    for (Finding& finding : findings) {
      if (finding.path == target.model.files.front().path) finding.path.clear();
    }
  }
  findings.insert(findings.end(), target.findings.begin(), target.findings.end());
  if (device) {
    inspected.device = device->name;
    const auto of_device = CheckDevice(inspected.manifest, *device);
    findings.insert(findings.end(), of_device.begin(), of_device.end());
  }
  return inspected;
}

// Says what each path is: JSON as it comes, text as one table at the end.
class InspectRun {
 public:
  InspectRun(const Context& context, const InspectArguments& arguments)
      : context_(context), arguments_(arguments) {}

  StatusOr<int> Run() {
    for (const std::string& path : arguments_.paths) {
      const auto targets = FindTargets(path);
      if (!targets.ok()) {
        Fail(path, targets.status());
        continue;
      }
      for (const Target& target : *targets) {
        auto inspected = Inspect(target, arguments_.device);
        const Status shown = inspected.ok() ? Add(*std::move(inspected)) : inspected.status();
        if (!shown.ok()) Fail(target.path, shown);
      }
    }
    if (!context_.json && !models_.empty()) {
      ASSIGN_OR_RETURN(const std::string text,
                       ReportText(models_, arguments_.tensors, StdoutScreen()));
      PrintOut(text);
    }
    return all_ok_ ? 0 : kExitFailure;
  }

 private:
  Status Add(InspectedModel inspected) {
    all_ok_ = all_ok_ && inspected.manifest.verdict() == Verdict::kOk;
    if (!context_.json) {
      models_.push_back(std::move(inspected));
      return OkStatus();
    }
    ASSIGN_OR_RETURN(const std::string line, ReportJson(inspected, arguments_.tensors));
    PrintOut(line);
    return OkStatus();
  }

  void Fail(const std::string& path, const Status& error) {
    all_ok_ = false;
    if (context_.json) PrintOut(ErrorJson(path, error));
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
                                         "also whether it can be used there: cpu, nvidia:8.6, "
                                         "amd:gfx1100, ...,memory=24GiB")
      ->type_name("DEVICE");
  OnCommand(command, context, RunInspect, arguments);
}

}  // namespace warmset::cli
