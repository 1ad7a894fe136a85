// What downloaders leave while they work, told by names.
#pragma once

#include <optional>
#include <string_view>

namespace warmset {

// The name that a file will have when its download is finished: "a.safetensors" for
// "a.safetensors.part". Nothing for other names, nor for what will not be weights. A
// browser's "Unconfirmed 123.crdownload" may become anything, and gives an empty name.
std::optional<std::string_view> UnfinishedNameOf(std::string_view name);

// The file of which this one holds the state: "a.gguf" for "a.gguf.aria2". As long as it
// is there, the file may have its full size and not its content.
std::optional<std::string_view> FileOfControlFile(std::string_view name);

}  // namespace warmset
