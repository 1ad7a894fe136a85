#include "inspect/stand_in.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "fmt/format.h"
#include "inspect/access_record.h"

namespace warmset {
namespace {

constexpr std::string_view kLfsPointer = "version https://git-lfs.github.com/spec/";
constexpr uint64_t kMaxMessageBytes = 64 * 1024;  // a server's message is short

struct Phrase {
  std::string_view text;  // in lower case
  std::string_view error_code;
  uint64_t http_status;
};
// How messages of the Hugging Face hub begin.
constexpr std::array kPhrases = {
    Phrase{"access to model ", "GatedRepo", 403},
    Phrase{"access to this model ", "GatedRepo", 403},
    Phrase{"access to dataset ", "GatedRepo", 403},
    Phrase{"invalid username or password", "", 401},
    Phrase{"invalid credentials", "", 401},
    Phrase{"unauthorized", "", 401},
    Phrase{"forbidden", "", 403},
    Phrase{"repository not found", "RepoNotFound", 0},
    Phrase{"revision not found", "RevisionNotFound", 404},
    Phrase{"invalid rev id", "RevisionNotFound", 404},
    Phrase{"entry not found", "EntryNotFound", 404},
};
// What the title of a page says that asks for a login.
constexpr std::array<std::string_view, 7> kLoginTitles = {
    "log in", "login", "sign in", "unauthorized", "forbidden", "401", "403"};

std::string LowerStart(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

// The words after "access to model", if they may be a repo's id; AccessError checks.
std::string_view RepoIn(std::string_view message) {
  constexpr std::string_view kBefore = "model ";
  const size_t at = message.find(kBefore);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = message.substr(at + kBefore.size());
  const std::string_view repo = rest.substr(0, rest.find(' '));
  return repo.find('/') == std::string_view::npos ? std::string_view() : repo;
}

Status CheckMessage(std::string_view lower, std::string_view original) {
  for (const Phrase& phrase : kPhrases) {
    if (!lower.starts_with(phrase.text)) continue;
    const Status error = AccessError(phrase.error_code, phrase.http_status, RepoIn(original));
    return Annotate(error, "the hub's refusal was saved in place of the weights");
  }
  return OkStatus();
}

Status CheckPage(std::string_view lower) {
  const size_t begin = lower.find("<title");
  const size_t end = lower.find("</title");
  const std::string_view title =
      begin < end && begin != std::string_view::npos
          ? lower.substr(begin, std::min(end, lower.size()) - begin)
          : std::string_view();
  const bool login = std::any_of(
      kLoginTitles.begin(), kLoginTitles.end(),
      [title](std::string_view word) { return title.find(word) != std::string_view::npos; });
  if (login || lower.find("access to model ") != std::string_view::npos) {
    return Error(ErrorCode::kAccessRestricted,
                 "a page that asks for a login was saved in place of the weights; log in, and "
                 "download the file again");
  }
  return Error(ErrorCode::kIncompleteModel,
               "a web page was saved in place of the weights; download the file itself (on the "
               "hub: /resolve/ in its address, not /blob/)");
}

// {"error":"…"}, as HTTP services answer.
Status CheckJsonMessage(std::string_view lower, std::string_view original) {
  constexpr std::string_view kKey = "\"error\"";
  const size_t key = lower.find(kKey);
  if (key == std::string_view::npos || lower.find_first_not_of("{ \t\r\n") != key) {
    return OkStatus();
  }
  const size_t quote = lower.find('"', key + kKey.size());
  if (quote != std::string_view::npos) {
    RETURN_IF_ERROR(CheckMessage(lower.substr(quote + 1), original));
  }
  return Error(ErrorCode::kIncompleteModel,
               "a server's error message was saved in place of the weights; download the file "
               "again");
}

}  // namespace

Status CheckNoStandIn(const FileStart& start) {
  const std::string_view text(reinterpret_cast<const char*>(start.bytes.data()),
                              start.bytes.size());
  if (text.starts_with(kLfsPointer)) {
    return Error(ErrorCode::kIncompleteModel,
                 "this is a Git LFS pointer and not the weights; fetch them with `git lfs pull` or "
                 "download the file again");
  }
  const std::string lower = LowerStart(text);
  if (lower.starts_with("<!doctype html") || lower.starts_with("<html")) return CheckPage(lower);
  if (start.file_size > kMaxMessageBytes) return OkStatus();
  if (lower.starts_with("<?xml") && lower.find("<error>") != std::string::npos) {
    return Error(ErrorCode::kIncompleteModel,
                 "a storage server's error message was saved in place of the weights; download the "
                 "file again");
  }
  if (lower.starts_with('{')) return CheckJsonMessage(lower, text);
  return CheckMessage(lower, text);
}

}  // namespace warmset
