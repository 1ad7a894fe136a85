#include "inspect/access_record.h"

#include <algorithm>

#include "fmt/format.h"
#include "inspect/json.h"

namespace warmset {
namespace {

constexpr uint64_t kUnauthorized = 401;
constexpr uint64_t kForbidden = 403;
constexpr size_t kMaxRepoBytes = 200;

// Goes into a URL for the user to visit.
bool IsRepoId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRepoBytes &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '.' || c == '/';
         });
}

}  // namespace

Status AccessError(std::string_view error_code, uint64_t http_status, std::string_view repo) {
  const bool named = IsRepoId(repo);
  const std::string page = named ? fmt::format("https://huggingface.co/{}", repo)
                                 : std::string("its page on the hub");
  const std::string what = named ? std::string(repo) : std::string("the model");
  if (error_code == "GatedRepo") {
    return Error(ErrorCode::kAccessRestricted,
                 fmt::format("{} is gated: accept its licence at {}, log in, and download it again",
                             what, page));
  }
  if (error_code == "RevisionNotFound" || error_code == "EntryNotFound" ||
      (error_code == "RepoNotFound" && http_status != 0 && http_status != kUnauthorized &&
       http_status != kForbidden)) {
    return Error(ErrorCode::kIncompleteModel,
                 fmt::format("the hub has no such {} of {}; look at {} for its name",
                             error_code == "EntryNotFound"      ? "file"
                             : error_code == "RevisionNotFound" ? "revision"
                                                                : "repository",
                             what, page));
  }
  // Without a login, the hub says the same of private repos and of none.
  if (error_code == "RepoNotFound" || http_status == kUnauthorized) {
    return Error(ErrorCode::kAccessRestricted,
                 fmt::format("{} is private or does not exist: log in with an account that may "
                             "read {}, and download it again",
                             what, page));
  }
  if (http_status == kForbidden) {
    return Error(ErrorCode::kAccessRestricted,
                 fmt::format("the hub refuses access to {}: ask for it at {}, log in, and download "
                             "it again",
                             what, page));
  }
  return Error(ErrorCode::kIncompleteModel,
               fmt::format("its download failed (HTTP status {}); start it again", http_status));
}

Status ReadAccessRecord(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::object record;
  if (const auto error = parser.parse(json.data(), json.size()).get(record)) {
    return Error(ErrorCode::kCorruptedModel, JsonErrorText(error));
  }
  std::string_view code;
  std::string_view repo;
  uint64_t http_status = 0;
  const bool has_code = !record["error_code"].get(code);
  const bool has_status = !record["http_status"].get(http_status);
  if (!has_code && !has_status) {
    return Error(ErrorCode::kCorruptedModel, "it has neither an error_code nor an http_status");
  }
  if (record["repo"].get(repo)) repo = {};
  return AccessError(code, http_status, repo);
}

}  // namespace warmset
