#include "discover/folder_kinds.h"

#include <algorithm>
#include <array>

namespace warmset {
namespace {

struct KindRule {
  std::string_view folder;  // in lower case
  std::string_view kind;
};
// Source: folder_paths.py of ComfyUI, and the models/ folder of the
// stable-diffusion-webui (A1111).
constexpr std::array kRules = {
    KindRule{"checkpoints", "checkpoints"},
    KindRule{"stable-diffusion", "checkpoints"},
    KindRule{"diffusion_models", "diffusion_models"},
    KindRule{"unet", "diffusion_models"},
    KindRule{"text_encoders", "text_encoders"},
    KindRule{"clip", "text_encoders"},
    KindRule{"vae", "vae"},
    KindRule{"vae_approx", "vae_approx"},
    KindRule{"vae-approx", "vae_approx"},
    KindRule{"loras", "loras"},
    KindRule{"lora", "loras"},
    KindRule{"lycoris", "loras"},
    KindRule{"controlnet", "controlnet"},
    KindRule{"t2i_adapter", "controlnet"},
    KindRule{"clip_vision", "clip_vision"},
    KindRule{"embeddings", "embeddings"},
    KindRule{"upscale_models", "upscale_models"},
    KindRule{"esrgan", "upscale_models"},
    KindRule{"realesrgan", "upscale_models"},
    KindRule{"swinir", "upscale_models"},
    KindRule{"style_models", "style_models"},
    KindRule{"hypernetworks", "hypernetworks"},
    KindRule{"gligen", "gligen"},
    KindRule{"photomaker", "photomaker"},
    KindRule{"model_patches", "model_patches"},
    KindRule{"audio_encoders", "audio_encoders"},
    KindRule{"diffusers", "diffusers"},
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

}  // namespace

std::string_view FolderKindOf(std::string_view folder_name) {
  const std::string lower = Lower(folder_name);
  for (const KindRule& rule : kRules) {
    if (lower == rule.folder) return rule.kind;
  }
  return {};
}

std::string CurrentFolderKind(std::string_view key) {
  const std::string_view kind = FolderKindOf(key);
  return std::string(kind.empty() ? key : kind);
}

}  // namespace warmset
