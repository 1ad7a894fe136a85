// Types of components, and the classes that configurations name.
#include <algorithm>
#include <array>

#include "inspect/identify/name_pattern.h"
#include "inspect/identify/rules.h"

namespace warmset {
namespace {

constexpr std::string_view kDiffusionLacks = "text_encoder vae";

constexpr std::array kTypes = {
    TypeRow{"model", "model"},
    TypeRow{"unet", "diffusion_model", false, kDiffusionLacks},
    TypeRow{"transformer", "diffusion_model", false, kDiffusionLacks},
    TypeRow{"prior", "diffusion_model", false, "text_encoder"},
    TypeRow{"vae", "vae"},
    TypeRow{"vae_approx", "vae_approx"},
    TypeRow{"text_encoder", "text_encoder"},
    TypeRow{"image_encoder", "clip_vision"},
    TypeRow{"vision", "vision"},
    TypeRow{"llm", "llm"},
    TypeRow{"audio", "audio"},
    TypeRow{"lora", "lora", true},
    TypeRow{"controlnet", "controlnet", true},
    TypeRow{"control_lora", "control_lora", true},
    TypeRow{"t2i_adapter", "t2i_adapter", true},
    TypeRow{"ip_adapter", "ip_adapter", true},
    TypeRow{"style_model", "style_model", true},
    TypeRow{"gligen", "gligen", true},
    TypeRow{"motion_adapter", "motion_adapter", true},
    TypeRow{"embedding", "embedding", true},
    TypeRow{"hypernetwork", "hypernetwork", true},
    TypeRow{"upscaler", "upscaler"},
    TypeRow{"pipeline", "pipeline"},
};

// For those that the atlas does not know.
constexpr std::array kClasses = {
    ClassRule{"*Scheduler*", ""},
    ClassRule{"*Tokenizer*", ""},
    ClassRule{"*ImageProcessor*", ""},
    ClassRule{"*FeatureExtractor*", ""},
    ClassRule{"*Processor", ""},
    ClassRule{"*ControlNet*", "controlnet"},
    ClassRule{"*SafetyChecker*", "safety_checker"},
    ClassRule{"*UNet*", "unet"},
    ClassRule{"*Transformer2DModel", "transformer"},
    ClassRule{"*Transformer3DModel", "transformer"},
    ClassRule{"*TransformerModel", "transformer"},
    ClassRule{"*Autoencoder*", "vae"},
    ClassRule{"*T2IAdapter*", "t2i_adapter"},
    // The transformers library.
    ClassRule{"CLIPVision*", "image_encoder"},
    ClassRule{"Siglip*Vision*", "image_encoder"},
    ClassRule{"CLIPTextModel*", "text_encoder"},
    ClassRule{"*TextModel", "text_encoder"},
    ClassRule{"*EncoderModel", "text_encoder"},
    ClassRule{"{Whisper,Wav2Vec2,Hubert,Wavlm,WavLM,SpeechT5,Musicgen,Encodec,Clap,Vits,Bark}*",
              "audio"},
    ClassRule{"*ForAudio*", "audio"},
    ClassRule{"*For{ImageClassification,ObjectDetection,SemanticSegmentation,DepthEstimation,"
              "MaskedImageModeling,UniversalSegmentation}",
              "vision"},
    ClassRule{"{ViT,Dinov2,DINOv3,Swin,ConvNext,ResNet,Sam,Beit,Detr}*", "vision"},
    ClassRule{"*{Bert,MPNet,Roberta,Electra,MiniLM}*", "text_encoder"},
    ClassRule{"*For{MaskedLM,SequenceClassification,TokenClassification,QuestionAnswering}",
              "text_encoder"},
    ClassRule{"*For{CausalLM,ConditionalGeneration}", "llm"},
    ClassRule{"*LMHeadModel", "llm"},
    ClassRule{"*Vision*", "image_encoder"},
};

constexpr std::array kPipelines = {
    ClassRule{"StableDiffusionXL*", "pipeline", "sdxl"},
    ClassRule{"StableDiffusion3*", "pipeline", "sd3"},
    ClassRule{"StableDiffusion*", "pipeline", "sd1|sd2"},
    ClassRule{"{LatentConsistencyModel,AnimateDiff,PIA}*", "pipeline", "sd1"},
    ClassRule{"Flux2*", "pipeline", "flux.2"},
    ClassRule{"FluxFill*", "pipeline", "flux.1-fill"},
    ClassRule{"Flux*", "pipeline", "flux.1"},
    ClassRule{"Chroma*", "pipeline", "chroma"},
    ClassRule{"PixArtAlpha*", "pipeline", "pixart-alpha"},
    ClassRule{"PixArtSigma*", "pipeline", "pixart-sigma"},
    ClassRule{"LTX*", "pipeline", "ltx-video"},
    ClassRule{"Lumina2*", "pipeline", "lumina2"},
    ClassRule{"ZImage*", "pipeline", "z-image"},
    ClassRule{"QwenImageEdit*", "pipeline", "qwen-image-edit"},
    ClassRule{"QwenImage*", "pipeline", "qwen-image"},
    ClassRule{"Wan*", "pipeline", "wan"},
    ClassRule{"HunyuanVideo*", "pipeline", "hunyuan-video"},
    ClassRule{"AuraFlow*", "pipeline", "auraflow"},
    ClassRule{"HiDream*", "pipeline", "hidream-i1"},
    ClassRule{"Cosmos2*", "pipeline", "cosmos-predict2"},
    ClassRule{"Cosmos*", "pipeline", "cosmos"},
    ClassRule{"Mochi*", "pipeline", "mochi"},
};

const ClassRule* Find(std::span<const ClassRule> rules, std::string_view class_name) {
  const auto fits = [class_name](const ClassRule& rule) {
    const auto patterns = ExpandAlternatives(rule.pattern);
    return std::any_of(patterns.begin(), patterns.end(), [class_name](const std::string& pattern) {
      return MatchesName(pattern, class_name);
    });
  };
  const auto rule = std::find_if(rules.begin(), rules.end(), fits);
  return rule == rules.end() ? nullptr : &*rule;
}

}  // namespace

std::span<const TypeRow> TypeRows() { return kTypes; }

const TypeRow& RowOfType(std::string_view type) {
  const auto row = std::find_if(kTypes.begin(), kTypes.end(),
                                [type](const TypeRow& each) { return each.type == type; });
  return row == kTypes.end() ? kTypes.front() : *row;
}

const ClassRule* FindClass(std::string_view class_name) { return Find(kClasses, class_name); }
const ClassRule* FindPipeline(std::string_view class_name) { return Find(kPipelines, class_name); }

}  // namespace warmset
