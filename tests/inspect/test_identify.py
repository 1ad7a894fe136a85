"""Pipelines as the diffusers library saves them are told by their classes.

Their tensors are too small for shapes to tell anything: scripts/make-pipelines.py
makes them.
"""

import importlib.util
import json

import pytest

from conftest import ROOT

COMPONENTS = {
    "sd1": {"text_encoder": "text_encoder", "unet": "unet", "vae": "vae"},
    "sdxl": {"text_encoder": "text_encoder", "text_encoder_2": "text_encoder", "unet": "unet",
             "vae": "vae"},
    "flux": {"text_encoder": "text_encoder", "text_encoder_2": "text_encoder",
             "transformer": "transformer", "vae": "vae"},
}
ARCHITECTURES = {"sd1": "sd1", "sdxl": "sdxl", "flux": "flux.1"}
VARIANTS = {
    "plain": {},
    "sharded": {"max_shard_size": "20KB"},
    "fp16": {"variant": "fp16"},
    "pickled": {"safe_serialization": False},
}


@pytest.fixture(scope="session")
def make_pipeline():
    spec = importlib.util.spec_from_file_location("pipelines", ROOT / "scripts/make-pipelines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make


@pytest.mark.parametrize("kind", COMPONENTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_pipeline_is_told_by_its_classes(tmp_path, make_pipeline, inspect_one, kind, variant):
    line = inspect_one(make_pipeline(kind, tmp_path / kind, **VARIANTS[variant]))
    assert line["verdict"] == "ok"
    assert line["findings"] == []
    assert line["kind"] == "pipeline"
    assert line["architecture"]["name"] == ARCHITECTURES[kind]
    assert line["architecture"]["evidence"]
    assert {part["name"].split(".")[0]: part["type"] for part in line["components"]} == \
        COMPONENTS[kind]


def test_a_component_by_itself(tmp_path, make_pipeline, inspect_one):
    flux = make_pipeline("flux", tmp_path / "flux")
    line = inspect_one(flux / "transformer")
    assert line["kind"] == "diffusion_model"
    assert line["architecture"]["name"] == "flux.1"
    assert sorted(line["requires"]) == ["text_encoder", "vae"]
    assert inspect_one(flux / "vae")["kind"] == "vae"
    assert inspect_one(flux / "text_encoder_2")["kind"] == "text_encoder"


def test_a_config_that_asks_for_code_is_a_warning(tmp_path, make_pipeline, inspect_one):
    encoder = make_pipeline("sd1", tmp_path / "sd1") / "text_encoder"
    config = json.loads((encoder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_x.XModel"}
    (encoder / "config.json").write_text(json.dumps(config))
    line = inspect_one(encoder)
    assert line["verdict"] == "ok"
    assert [(finding["category"], finding["severity"]) for finding in line["findings"]] == \
        [("unsafe_content", "warning")]
