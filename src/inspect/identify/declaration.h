// What a file's metadata, a configuration or a model's place says that it is, beside
// what its tensors say.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/identify/identify.h"
#include "inspect/identify/rule_book.h"

namespace warmset {

// The confidence in a configuration or metadata that must be right.
inline constexpr double kDeclared = 0.9;
// Is left of what tensors say of a model whose class no library knows.
inline constexpr double kUnknownClass = 0.5;
// From there on, tensors contradict a declaration.
inline constexpr double kDisagrees = 0.9;

inline constexpr size_t kMaxArchitectureName = 200;
// The name if it may be shown and stored, else nothing.
std::string_view PlainName(std::string_view name);
// "text_encoder" for "text_encoder_3".
std::string_view WithoutNumber(std::string_view name);

// What `says` (a text for evidence) declares: one of these architectures, with '|'
// between.
std::vector<Candidate> DeclaredCandidates(std::string_view architectures, std::string_view type,
                                          const std::string& says);

// GGUF files name their architecture. Those that no table has are language models.
std::optional<Candidate> DeclaredByMetadata(const ModelEvidence& evidence, bool is_lora);

// Changes what the tensors said to what the configuration's class and type say: the
// class that a library knows decides; one that none knows lowers confidence.
void AddConfiguration(const ModelEvidence& evidence, std::string& type,
                      std::vector<Candidate>& candidates, std::vector<std::string>& disagreements);

// Adds the base that PEFT's adapter_config.json names, and makes an adapter of what no
// rule knows. Returns what the adapter needs: that base, or nothing.
std::string AddAdapterBase(const ModelEvidence& evidence, std::string& type,
                           std::vector<Candidate>& candidates);

}  // namespace warmset
