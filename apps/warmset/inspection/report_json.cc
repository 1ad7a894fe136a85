#include "base/json_writer.h"
#include "inspection/report.h"

namespace warmset::cli {
namespace {

void WriteDtypes(JsonWriter& json, const std::map<std::string, uint64_t>& dtype_bytes) {
  json.Key("dtypes");
  json.BeginObject();
  for (const auto& [dtype, bytes] : dtype_bytes) json.Field(dtype, bytes);
  json.EndObject();
}

void WriteArchitecture(JsonWriter& json, const Architecture& architecture) {
  json.BeginObject();
  json.Field("name", architecture.name);
  json.Key("confidence");
  json.Number(architecture.confidence);
  json.Key("evidence");
  json.BeginArray();
  for (const std::string& evidence : architecture.evidence) json.String(evidence);
  json.EndArray();
  json.EndObject();
}

void WriteComponent(JsonWriter& json, const ComponentManifest& component) {
  json.BeginObject();
  json.Field("type", component.type);
  json.Field("name", component.name);
  json.Field("tensors", component.tensor_count);
  json.Field("bytes", component.tensor_bytes);
  WriteDtypes(json, component.dtype_bytes);
  json.EndObject();
}

void WriteFinding(JsonWriter& json, const Finding& finding) {
  json.BeginObject();
  json.Field("category", FindingCategoryName(finding.category));
  json.Field("severity", finding.verdict == Verdict::kOk ? "warning" : "error");
  json.Field("message", finding.message);
  json.Key("offset");
  if (finding.offset) {
    json.Integer(*finding.offset);
  } else {
    json.Null();
  }
  if (!finding.path.empty()) json.Field("path", finding.path);
  json.EndObject();
}

template <typename T>
void WriteNumbers(JsonWriter& json, std::string_view name, const std::vector<T>& numbers) {
  json.Key(name);
  json.BeginArray();
  for (const T number : numbers) json.Integer(number);
  json.EndArray();
}

void WriteTensor(JsonWriter& json, const ListedTensor& tensor) {
  json.BeginObject();
  json.Field("name", tensor.name);
  json.Field("dtype", DTypeName(tensor.dtype));
  WriteNumbers(json, "shape", tensor.shape);
  if (!tensor.strides.empty()) WriteNumbers(json, "strides", tensor.strides);
  json.Field("storage", tensor.storage);
  json.Field("file", tensor.file);
  json.Field("offset", tensor.offset);
  json.Field("bytes", tensor.bytes);
  json.Field("component", tensor.component);
  json.EndObject();
}

}  // namespace

StatusOr<std::string> ReportJson(const InspectedModel& model, bool with_tensors) {
  const Manifest& manifest = model.manifest;
  const TensorTotals totals = TotalsOf(manifest);
  std::string line;
  JsonWriter json(line);
  json.BeginObject();
  json.Field("path", model.path);
  if (!model.device.empty()) json.Field("device", model.device);
  json.Field("verdict", VerdictName(manifest.verdict()));
  json.Field("format", manifest.format);
  json.Field("format_version", manifest.format_version);
  json.Field("layout", ModelLayoutName(manifest.layout));
  json.Field("kind", manifest.kind);
  json.Key("architecture");
  WriteArchitecture(json, manifest.architecture());
  json.Key("candidates");
  json.BeginArray();
  for (const Architecture& candidate : manifest.architectures) WriteArchitecture(json, candidate);
  json.EndArray();
  json.Key("components");
  json.BeginArray();
  for (const ComponentManifest& component : manifest.components) WriteComponent(json, component);
  json.EndArray();
  json.Field("tensors", totals.tensors);
  json.Field("bytes", totals.bytes);
  WriteDtypes(json, totals.dtype_bytes);
  json.Key("requires");
  json.BeginArray();
  for (const std::string& required : manifest.requires_models) json.String(required);
  json.EndArray();
  json.Key("findings");
  json.BeginArray();
  for (const Finding& finding : manifest.findings) WriteFinding(json, finding);
  json.EndArray();
  if (with_tensors) {
    json.Key("tensor_list");
    json.BeginArray();
    RETURN_IF_ERROR(ForEachTensor(
        manifest, [&](const ListedTensor& tensor) { WriteTensor(json, tensor); }));
    json.EndArray();
  }
  json.EndObject();
  line += '\n';
  return line;
}

std::string ErrorJson(const std::string& path, const Status& error) {
  std::string line;
  JsonWriter json(line);
  json.BeginObject();
  json.Field("path", path);
  json.Key("error");
  json.BeginObject();
  json.Field("code", ErrorCodeName(CodeOf(error)));
  json.Field("message", Message(error));
  json.EndObject();
  json.EndObject();
  line += '\n';
  return line;
}

}  // namespace warmset::cli
