#include "inspect/unfinished.h"

#include <array>

#include "inspect/weight_sets.h"

namespace warmset {
namespace {

// Firefox, curl and KDE; Chrome and Edge; qBittorrent; Safari; Internet Explorer and
// Ollama; many; Opera; uTorrent; BitComet; WinSCP; Free Download Manager; Xunlei;
// JDownloader; programs' own clients; the hub's client.
constexpr std::array<std::string_view, 17> kUnfinished = {
    ".part",      ".crdownload", ".!qb",         ".download",
    ".partial",   ".tmp",        ".temp",        ".opdownload",
    ".!ut",       ".bc!",        ".filepart",    ".fdmdownload",
    ".xltd",      ".td",         ".jd.download", ".downloadinprogress",
    ".incomplete"};
constexpr std::string_view kBrowsers = "Unconfirmed ";
constexpr std::string_view kBrowsersEnd = ".crdownload";
// aria2 and axel.
constexpr std::array<std::string_view, 2> kControl = {".aria2", ".st"};

// The name before the ending, if that is what weights are called.
template <size_t N>
std::optional<std::string_view> Before(std::string_view name,
                                       const std::array<std::string_view, N>& endings) {
  for (const std::string_view ending : endings) {
    if (!EndsWithIgnoreCase(name, ending)) continue;
    const std::string_view whole = name.substr(0, name.size() - ending.size());
    if (MayBeWeightsFile(whole) || IsOnnxData(whole)) return whole;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> UnfinishedNameOf(std::string_view name) {
  if (const auto whole = Before(name, kUnfinished)) return whole;
  if (name.starts_with(kBrowsers) && name.ends_with(kBrowsersEnd)) return std::string_view();
  return std::nullopt;
}

std::optional<std::string_view> FileOfControlFile(std::string_view name) {
  return Before(name, kControl);
}

}  // namespace warmset
