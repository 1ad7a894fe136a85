"""Servers of docs/recipes as processes of their own, from warm RAM and beside plain ones."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import urllib.request

import pytest

from harness.daemon import BIN, PATIENCE

ROOT = pathlib.Path(__file__).parents[2]
SERVER = ROOT / "examples" / "diffusers_server.py"
WORDS = ["c", "a", "t", "ca", "t</w>", "cat</w>", "<|startoftext|>", "<|endoftext|>"]


@pytest.fixture
def pipeline(models):
    """A diffusers folder that takes prompts, with random weights."""
    from transformers import CLIPTokenizer

    spec = importlib.util.spec_from_file_location("pipelines", ROOT / "scripts/make-pipelines.py")
    pipelines = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pipelines)
    words = models.parent / "words"
    words.mkdir()
    (words / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(WORDS)}))
    (words / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    made = pipelines.make_sd1()
    made.register_modules(tokenizer=CLIPTokenizer(
        str(words / "vocab.json"), str(words / "merges.txt"), unk_token="<|endoftext|>",
        model_max_length=77))
    made.save_pretrained(models / "pipe")
    return models / "pipe"


@pytest.fixture
def start():
    """Starts a server; gives where it answers once it does."""
    started = []

    def go(command, environment):
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)
        started.append(process)
        found = re.match(r"http://\S+", process.stdout.readline())
        assert found, f"it ended with {process.wait(PATIENCE)}"
        return found.group()

    yield go
    for process in started:
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()


def image(url):
    with urllib.request.urlopen(f"{url}?prompt=cat&steps=2&seed=3&width=32&height=32",
                                timeout=PATIENCE) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_a_diffusers_server(serve, pipeline, start):
    """As docs/recipes/diffusers-server.md says; --require: nothing falls back."""
    daemon = serve()
    plain = start([sys.executable, SERVER, pipeline, "0"],
                  daemon.environment() | {"WARMSET": "off"})
    command = [BIN / "warmset", "run", "--require", "--", sys.executable, SERVER, pipeline, "0"]
    first, second = (start(command, daemon.environment()) for _ in range(2))
    expected = image(plain)
    assert expected[0] == "image/png" and expected[1].startswith(b"\x89PNG")
    assert image(first) == expected and image(second) == expected
    # Both hold each of the three components, whose memory is there once.
    assert daemon.leases("pipe") == 6
    detail = daemon.cli("show", "pipe")
    assert {part["cache_state"] for part in detail["components"]} == {"cached"}
