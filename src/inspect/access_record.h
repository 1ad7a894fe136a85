// What a hub answered in place of a model's files, recorded beside them by whoever
// asked (docs/formats/access-record.md). Codes: the X-Error-Code header of
// https://huggingface.co.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace warmset {

// Beside the weights; in a hub cache, in the repo's own folder.
inline constexpr std::string_view kAccessRecordName = ".error.json";
inline constexpr size_t kMaxAccessRecordBytes = 64 * 1024;

// The error that a record stands for: kAccessRestricted where a licence or a login
// is asked for, kIncompleteModel where there is nothing to download, and
// kCorruptedModel for what is no record.
Status ReadAccessRecord(std::string_view json);

// The error for a hub's code and HTTP status (0: not known), of a repo or of a
// model that is not named.
Status AccessError(std::string_view error_code, uint64_t http_status, std::string_view repo);

}  // namespace warmset
