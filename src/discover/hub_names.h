// Names in the Hugging Face hub's cache: models--ORG--NAME/{blobs,refs,snapshots}.
// Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace warmset {

// "org/name" for "models--org--name"; nothing for other folders.
std::optional<std::string> RepoIdOf(std::string_view folder_name);

// The repo's folder for a path below its snapshots; nothing for other paths.
std::optional<std::string> RepoFolderOf(std::string_view path);

// A commit: 40 lower-case hexadecimal digits.
bool IsCommit(std::string_view text);

// 64 lower-case hexadecimal digits: a SHA-256, or the hub's xet hash.
bool IsSha256Digits(std::string_view text);

// The claim "sha256:…" or "git-sha1:…" of a snapshot's link to "…/blobs/<digest>":
// blobs of large files are named by their SHA-256, others by git's. Empty for other
// links.
std::string ClaimedHashOf(std::string_view link_target);

}  // namespace warmset
