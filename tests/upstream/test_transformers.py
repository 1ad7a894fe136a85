"""transformers' own tests of loading and saving, over models of several families.

The source package has the tests that every model's test case inherits
(tests/test_modeling_common.py) and not those of the models: these stand in for them.
scripts/upstream.sh runs this from the unpacked source package.
"""

import copy
import unittest

import torch
import transformers
from tests.test_modeling_common import ModelTesterMixin, ids_tensor

SMALL = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
TOKENS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


class Tester:
    """What the inherited tests ask of a model's own: a configuration and inputs."""

    batch_size = 2
    seq_length = 7
    num_hidden_layers = SMALL["num_hidden_layers"]
    is_training = False

    def __init__(self, config, inputs):
        self.config = config
        self.inputs = inputs

    def prepare_config_and_inputs_for_common(self):
        return copy.deepcopy(self.config), self.inputs()


def token_ids():
    shape = [Tester.batch_size, Tester.seq_length]
    return {"input_ids": ids_tensor(shape, 64), "attention_mask": torch.ones(shape).long()}


def pixels():
    return {"pixel_values": torch.rand(Tester.batch_size, 3, 32, 32)}


def tokens_of_both_sides():
    shape = [Tester.batch_size, Tester.seq_length]
    return {**token_ids(), "decoder_input_ids": ids_tensor(shape, 64)}


def case(config, inputs, *classes, **attributes):
    """A test case of the inherited tests."""

    class Case(ModelTesterMixin, unittest.TestCase):
        all_model_classes = classes

        def setUp(self):
            torch.manual_seed(0)
            self.model_tester = Tester(config, inputs)

    for name, value in attributes.items():
        setattr(Case, name, value)
    return Case


class Llama(case(
    transformers.LlamaConfig(**SMALL, **TOKENS, num_key_value_heads=2),
    token_ids, transformers.LlamaModel, transformers.LlamaForCausalLM,
)):
    pass


class LlamaOfOneMatrix(case(  # for what goes in and what comes out
    transformers.LlamaConfig(**SMALL, **TOKENS, tie_word_embeddings=True),
    token_ids, transformers.LlamaForCausalLM,
)):
    pass


class Mixtral(case(  # experts, which are merged while they are loaded
    transformers.MixtralConfig(**SMALL, **TOKENS, num_key_value_heads=2, num_local_experts=2),
    token_ids, transformers.MixtralForCausalLM,
)):
    pass


class Bert(case(
    transformers.BertConfig(**SMALL, pad_token_id=0),
    token_ids, transformers.BertModel, transformers.BertForMaskedLM,
)):
    pass


class T5(case(
    transformers.T5Config(
        vocab_size=64, d_model=64, d_kv=16, d_ff=48, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0,
    ),
    tokens_of_both_sides, transformers.T5ForConditionalGeneration, is_encoder_decoder=True,
)):
    pass


class Vit(case(
    transformers.ViTConfig(
        **{name: value for name, value in SMALL.items() if name != "vocab_size"},
        image_size=32, patch_size=8,
    ),
    pixels, transformers.ViTModel, transformers.ViTForImageClassification,
    test_resize_embeddings=False,
)):
    pass


class ClipText(case(
    transformers.CLIPTextConfig(**SMALL, **TOKENS, projection_dim=16),
    token_ids, transformers.CLIPTextModel, transformers.CLIPTextModelWithProjection,
    test_resize_embeddings=False,
)):
    pass
