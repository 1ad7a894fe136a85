"""How adapters name their tensors: every type of the peft library, put on a small model and
saved as the library saves it."""

import collections
import contextlib
import io
import re

# What the types need beside their defaults; one after another until one can be built.
OPTIONS = (
    dict(target_modules=["k_proj"], task_type="CAUSAL_LM"),
    dict(target_modules=["k_proj"], task_type="CAUSAL_LM", feedforward_modules=[]),
    dict(target_modules=["k_proj"], task_type="CAUSAL_LM", r=8),
    dict(target_modules=["k_proj"], task_type="CAUSAL_LM", total_step=10),
    dict(target_modules=["k_proj"], task_type="CAUSAL_LM", block_size=4),
    dict(target_modules=["k_proj"], task_type="CAUSAL_LM", group_size=8),
    dict(target_modules=["k_proj"], task_type="CAUSAL_LM", vector_length=16),
    dict(task_type="CAUSAL_LM", adapter_layers=1, adapter_len=4),
    dict(task_type="CAUSAL_LM", num_virtual_tokens=4),
    dict(task_type="CAUSAL_LM"),
)
VARIANTS = (dict(use_dora=True), dict(lora_bias=True), dict(decompose_both=True, decompose_factor=4),
            dict(use_effective_conv2d=True))
OUT, IN = 48, 64  # of the layer, like no other size
LAYER = "base_model.model.model.layers.0.self_attn.k_proj."
# These say nothing of an adapter, or are a rule's.
COMMON = re.compile(r"(base_layer\.)?(weight|bias)$|prompt_embeddings$|prefix_task_\w+|shadow_backbone\..*")


def base_model():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(
        hidden_size=IN, intermediate_size=160, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=3, head_dim=16, vocab_size=100))


def saved(config):
    import torch
    from peft import get_peft_model, get_peft_model_state_dict

    torch.manual_seed(0)
    with contextlib.redirect_stderr(io.StringIO()):
        return get_peft_model_state_dict(get_peft_model(base_model(), config))


def tells(shape):
    """Which dims of the layer a tensor has: its first is the layer's, its second, both or none."""
    has_out = len(shape) == 2 and shape[0] == OUT
    has_in = len(shape) == 2 and shape[1] == IN
    return {(True, True): "kBoth", (True, False): "kOut", (False, True): "kIn"}.get(
        (has_out, has_in), "kNothing")


def peft_suffixes(log):
    """[(type, suffix of a tensor's name, which dims it tells)]."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    found = collections.OrderedDict()
    for peft_type, config in sorted(PEFT_TYPE_TO_CONFIG_MAPPING.items(), key=lambda t: str(t[0])):
        type_, states, error = str(getattr(peft_type, "value", peft_type)), [], None
        for options in OPTIONS:
            try:
                states.append(saved(config(**options)))
            except Exception as failed:
                error = error or failed
                continue
            for more in VARIANTS:
                with contextlib.suppress(Exception):
                    states.append(saved(config(**options, **more)))
            break
        if not states:
            log(f"{type_}: {error}")
        for state in states:
            for name, value in state.items():
                if name.startswith(LAYER):
                    suffix = name.removeprefix(LAYER)
                else:  # of the whole model: "base_model.vera_A"
                    suffix = re.sub(r"^base_model\.(model\.)*(layers\.\d+\.self_attn\.)?", "", name)
                suffix = re.sub(r"(?<=\.)\d+(?=\.|$)|(?<=\.)(self_attn_)?k_proj$", "*", suffix)
                # One with a number or a layer in it comes beside others that have none.
                if "*" not in suffix and not COMMON.fullmatch(suffix):
                    found.setdefault((suffix, type_), tells(value.shape))
    return [(type_, suffix, told) for (suffix, type_), told in found.items()]
