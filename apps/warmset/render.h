// What the daemon tells, as tables and lines.
#pragma once

#include <string>
#include <string_view>

#include "table.h"
#include "warmset/v1/session.pb.h"

namespace warmset::cli {

inline constexpr size_t kShortIdDigits = 12;

// "disk", "ram", "ram 40%", "caching 12%", "ram+host:0"; with the code of the last
// failure where the verdict does not say it already.
std::string Where(const v1::ModelState& state, const v1::Progress* progress = nullptr);
// "5m 12s ago", "never".
std::string Ago(int64_t unix_ms, int64_t now_unix_ms);
// "412 python serve.py; 7 warmset-bench (3); +2 more": leases where there are several.
// Short: commands without folders and long arguments, the first holders.
enum class Holders { kAll, kShort };
std::string HeldBy(const google::protobuf::RepeatedPtrField<v1::Holder>& holders, Holders form);

std::string Size(uint64_t bytes);
std::string Seconds(double seconds);
int Percent(uint64_t part, uint64_t whole);
std::string ShortId(const std::string& id);

// In render_model.cc: what models are.
// "incomplete", "unsupported (dtype_support)", "warning (format_version)".
std::string FindingLabel(std::string_view verdict, std::string_view category);
std::string RenderList(const v1::ModelList& models, const Screen& screen);
std::string RenderDetail(const v1::ModelDetail& detail, const Screen& screen);
std::string RenderCompatibility(const v1::CompatibilityReply& reply, const Screen& screen);
std::string RenderOverride(const v1::ModelState& state);

// The model's strategy and what else the user has set of it: "memory, pinned".
std::string StrategyLine(const v1::ModelState& state);

// That a scan is under way, and there may be more models than are listed.
std::string RenderScan(const v1::ScanStatus& scan);
// What the daemon says is wrong for now, a line each.
std::string RenderNotices(const google::protobuf::RepeatedPtrField<std::string>& notices,
                          const Screen& screen);

std::string RenderActive(const v1::ActiveList& active, const Screen& screen);
// What RAM holds of the model beside its components: files that are open by path and that
// components can't be views of, as shards are of a component in several of them.
uint64_t BytesBesideComponents(const v1::ModelDetail& detail);
std::string RenderComponents(const v1::ModelDetail& detail, const Screen& screen);
// The worker's own account of the model's components.
std::string RenderWorkerView(const std::string& device, const v1::WorkerStateReply& worker,
                             const v1::ModelDetail& detail, const Screen& screen);
std::string RenderDevices(const v1::DaemonStatus& status, const Screen& screen);
std::string RenderConfig(const v1::ConfigReply& config, const Screen& screen);
std::string RenderUsage(const v1::CacheUsage& usage, const Screen& screen);

// In render_results.cc: what requests did, or would do.
std::string RenderScan(const v1::ScanReply& scan, const Screen& screen);
std::string RenderPlan(const v1::PlanReply& plan, const Screen& screen);
std::string RenderCached(const v1::CacheReply& reply);
std::string RenderPreload(const v1::PreloadReply& reply);
std::string RenderUncached(const v1::UncacheReply& reply);
std::string RenderUnloaded(const v1::UnloadReply& reply);
std::string RenderLoaded(const v1::LoadReply& reply);

}  // namespace warmset::cli
