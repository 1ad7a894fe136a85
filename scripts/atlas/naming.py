"""What architectures are called here, and which component they are."""

import re

# Where the field's name is not the class's.
DIFFUSERS_NAMES = {
    "AceStep": "ace-step",
    "AuraFlow": "auraflow",
    "Bria": "bria",
    "BriaFibo": "bria-fibo",
    "BriaFibo2": "bria-fibo-2",
    "CogVideoX": "cogvideox",
    "CogView3Plus": "cogview3-plus",
    "CogView4": "cogview4",
    "ConsisID": "consisid",
    "Cosmos": "cosmos",
    "DiT": "dit",
    "DreamLite": "dreamlite",
    "ErnieImage": "ernie-image",
    "Flux": "flux.1",
    "Flux2": "flux.2",
    "Flux3": "flux.3",
    "HiDreamImage": "hidream-i1",
    "HunyuanDiT2D": "hunyuan-dit",
    "HunyuanImage": "hunyuan-image-2.1",
    "HunyuanVideo": "hunyuan-video",
    "HunyuanVideo15": "hunyuan-video-1.5",
    "HunyuanVideoFramepack": "framepack",
    "I2VGenXL": "i2vgen-xl",
    "Ideogram4": "ideogram-4",
    "Krea2": "krea2",
    "LTX2Video": "ltx-2",
    "LTX2": "ltx-2",
    "LTXVideo": "ltx-video",
    "LTX": "ltx-video",
    "LongCatImage": "longcat-image",
    "LuminaNextDiT2D": "lumina-next",
    "Lumina2": "lumina2",
    "MiniMaxH3": "minimax-h3",
    "OmniGen": "omnigen",
    "PRX": "prx",
    "PixArt": "pixart-sigma|pixart-alpha",
    "QwenImage": "qwen-image",
    "QwenImage21": "qwen-image-2.1",
    "SD3": "sd3",
    "SanaVideo": "sana-video",
    "SkyReelsV2": "skyreels-v2",
    "StableAudioDiT": "stable-audio",
    "StableAudio3DiT": "stable-audio-3",
    "StableCascade": "stable-cascade",
    "UNetSpatioTemporalCondition": "svd",
    "UniDiffuser": "unidiffuser",
    "UVit2D": "amused",
    "Wan": "wan",
    "WanVACE": "wan",
    "WanAnimate": "wan",
    "ZImage": "z-image",
    "Prior": "kandinsky",
    "AudioLDM2UNet2DCondition": "audioldm2",
    "UNet3DCondition": "modelscope-t2v",
}
# Classes of several models, which only rules tell apart.
BY_RULES = {
    "AutoencoderKL": "sd1-vae|sdxl-vae|sd3-vae|flux.1-vae|flux.2-vae",
    "ControlNetModel": "sd1|sd2|sdxl",
    "ControlNetUnionModel": "sdxl",
    "ControlNetXSAdapter": "sd1|sd2|sdxl",
    "MotionAdapter": "sd1|sdxl",
    "SparseControlNetModel": "sd1",
    "T2IAdapter": "sd1|sdxl",
    "UNet1DModel": "dance-diffusion",
    "UNet2DConditionModel": "sd1|sd2|sdxl|kolors|kandinsky2.2|deepfloyd-if|sd-x4-upscaler",
    "UNet2DModel": "ddpm",
    "UNetControlNetXSModel": "sd1|sd2|sdxl",
    "UNetMotionModel": "sd1|sdxl",
}
# Parts of other models.
LEFT_OUT = {"Transformer2DModel", "TransformerTemporalModel", "MultiAdapter"}
# Those that come first among models that nothing tells apart.
WELL_KNOWN = {
    "bart", "bert", "clip", "clip-vision", "cogvideox", "cogview4", "deepseek-v3", "dinov2", "flux.1",
    "gpt2", "hunyuan-video", "llama", "ltx-video", "mixtral", "mistral", "siglip", "wav2vec2",
    "pixart-sigma|pixart-alpha", "qwen2", "qwen3", "t5", "vit", "wan", "wan2.1-vae|wan2.2-vae", "whisper",
}
FOLLOWED = 2  # heirs that make a model of transformers known enough to be told by its vocabulary
# Models of these names come with many vocabularies: one tells little.
MANY_VOCABULARIES = {"llama", "qwen2", "qwen3", "qwen3-moe", "deepseek-v3"}

AUTOENCODERS = {
    "AutoencoderTiny": "taesd",
    "AutoencoderKLTemporalDecoder": "svd-vae",
    "AutoencoderKLWan": "wan2.1-vae|wan2.2-vae",
    "AutoencoderKLLTXVideo": "ltx-video-vae",
    "AutoencoderKLLTX2Video": "ltx-2-vae",
    "AutoencoderKLLTX2Audio": "ltx-2-audio-vae",
    "AutoencoderKLFlux2": "flux.2-vae",
    "AutoencoderKLQwenImage": "qwen-image-vae",
    "AutoencoderKLQwenImage21": "qwen-image-2.1-vae",
    "AutoencoderKLHunyuanVideo": "hunyuan-video-vae",
    "AutoencoderKLHunyuanVideo15": "hunyuan-video-1.5-vae",
    "AutoencoderKLMagvit": "easyanimate-vae",
    "AutoencoderKLCogVideoX": "cogvideox-vae",
    "AutoencoderDC": "dc-ae",
    "AutoencoderOobleck": "stable-audio-vae",
    "AsymmetricAutoencoderKL": "asymmetric-vae",
    "ConsistencyDecoderVAE": "consistency",
    "VQModel": "vq-vae",
}


def kebab(name):
    """"CogVideoX" and "sam_hq" as the house writes names: lower case, words joined by '-'."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    name = re.sub(r"(?<=\d)_(?=\d)", ".", name.lower())
    return re.sub(r"[_-]+", "-", name).strip("-")


def diffusers_stem(name):
    name = re.sub(r"(Transformer(1D|2D|3D)?Model|Transformer(1D|2D|3D)?|Model|UNet)$", "", name)
    return re.sub(r"(Multi)?ControlNet$", "", name)


def diffusers_name(class_name):
    if class_name in BY_RULES:
        return "?" + BY_RULES[class_name]
    if class_name in AUTOENCODERS:
        return AUTOENCODERS[class_name]
    if class_name == "ReduxImageEncoder":
        return "flux.1"
    stem = diffusers_stem(class_name)
    if stem in DIFFUSERS_NAMES:
        return DIFFUSERS_NAMES[stem]
    vae = re.fullmatch(r"Autoencoder(?:KL)?(\w+)", class_name)
    if vae:
        return DIFFUSERS_NAMES.get(vae[1], kebab(vae[1])) + "-vae"
    return kebab(stem)


def diffusers_type(class_name, module):
    if "ControlNet" in class_name:
        return "controlnet"
    if class_name in ("MotionAdapter",):
        return "motion_adapter"
    if "T2IAdapter" in class_name or class_name == "MultiAdapter":
        return "t2i_adapter"
    if class_name == "ReduxImageEncoder":
        return "style_model"
    if class_name == "AutoencoderTiny":
        return "vae_approx"
    if class_name == "PriorTransformer":
        return "prior"
    if "SafetyChecker" in class_name:
        return "safety_checker"
    if "Vocoder" in class_name or "AudioToken" in class_name:
        return "audio"
    if re.search(r"Autoencoder|VAE|Vae$|VQModel|ConsistencyDecoder", class_name):
        return "vae"
    if "UNet" in class_name and "Encoder" not in class_name:
        return "unet"
    if re.search(r"Transformer|DiT|UVit2D|UniDiffuserModel", class_name):
        return "transformer"
    if ".autoencoders." in module:
        return "vae"
    return "model"


TRANSFORMERS_NAMES = {
    "clip_text_model": "clip",
    "clip_vision_model": "clip-vision",
    "siglip_text_model": "siglip",
    "siglip_vision_model": "siglip",
    "siglip2_text_model": "siglip2",
    "siglip2_vision_model": "siglip2",
    "qwen2_5_vl": "qwen2.5-vl",
    "gemma3_text": "gemma3",
    "gemma4_text": "gemma4",
}


def transformers_name(model_type):
    if model_type in TRANSFORMERS_NAMES:
        return TRANSFORMERS_NAMES[model_type]
    return kebab(re.sub(r"_text(_model)?$|_model$", "", model_type))


# Tasks of the auto classes, the first that has the model counts.
TASK_TYPES = (
    ("vision", ("OBJECT_DETECTION", "ZERO_SHOT_OBJECT_DETECTION", "SEMANTIC_SEGMENTATION",
                "INSTANCE_SEGMENTATION", "UNIVERSAL_SEGMENTATION", "IMAGE_SEGMENTATION",
                "DEPTH_ESTIMATION", "MASK_GENERATION", "KEYPOINT_DETECTION", "KEYPOINT_MATCHING",
                "VIDEO_CLASSIFICATION", "IMAGE_MATTING", "NORMAL_ESTIMATION", "POSE_ESTIMATION",
                "POINTMAP_ESTIMATION", "TABLE_RECOGNITION", "TEXT_RECOGNITION")),
    ("upscaler", ("IMAGE_TO_IMAGE",)),
    ("audio", ("SPEECH_SEQ_2_SEQ", "CTC", "RNNT", "TDT", "AUDIO_CLASSIFICATION",
               "AUDIO_FRAME_CLASSIFICATION", "AUDIO_XVECTOR", "TEXT_TO_SPECTROGRAM",
               "TEXT_TO_WAVEFORM", "AUDIO_TOKENIZATION")),
    ("image_encoder", ("ZERO_SHOT_IMAGE_CLASSIFICATION",)),
    ("text_encoder", ("MASKED_LM", "TEXT_ENCODING")),
    ("llm", ("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SEQ_TO_SEQ_CAUSAL_LM",
             "VISUAL_QUESTION_ANSWERING")),
    ("vision", ("IMAGE", "IMAGE_CLASSIFICATION", "MASKED_IMAGE_MODELING", "BACKBONE")),
)
# Text encoders of diffusion models, whatever else they do.
TEXT_ENCODERS = {"t5", "umt5", "mt5", "byt5", "clip", "longt5", "roberta", "xlm-roberta"}
# Families whose models decode text although they fill masks, too.
LANGUAGE_MODELS = {"bart", "mbart", "mvp", "bigbird_pegasus", "led", "plbart"}


def transformers_type(model_type, class_names, tasks):
    """tasks: {task: model types}."""
    if model_type in TEXT_ENCODERS:
        return "text_encoder"
    if model_type in LANGUAGE_MODELS:
        return "llm"
    if model_type in ("clip_text_model", "siglip_text_model", "siglip2_text_model"):
        return "text_encoder"
    if model_type in ("clip_vision_model", "siglip_vision_model", "siglip2_vision_model"):
        return "image_encoder"
    for type_, names in TASK_TYPES:
        if any(model_type in tasks.get(name, ()) for name in names):
            return type_
    if any(name.endswith(("ForCausalLM", "ForConditionalGeneration")) for name in class_names):
        return "llm"
    if re.search(r"_text(_model)?$", model_type):
        return "llm" if not model_type.endswith("_text_model") else "text_encoder"
    if re.search(r"vision|vit\b|image", model_type):
        return "image_encoder"
    if re.search(r"audio|speech|codec|encodec|wav", model_type):
        return "audio"
    return "model"


SPANDREL_NAMES = {"Compact": "realesrgan-compact"}


def spandrel_name(folder):
    return SPANDREL_NAMES.get(folder, folder.lower())
