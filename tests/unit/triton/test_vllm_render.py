"""What deploy/triton/vllm/render.py writes, held against the engine arguments of real vLLM versions."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from penstock_inference.settings import Settings

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "triton" / "vllm" / "render.py"
# Names of AsyncEngineArgs' fields, and the values of two of them, read from the wheels of these versions.
VERSIONS = json.loads((Path(__file__).parent / "vllm_engine_args.json").read_text())


def _module():
    spec = importlib.util.spec_from_file_location("render", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["render"] = module
    spec.loader.exec_module(module)
    return module


render = _module()
FORMATS = [(device, name) for device, formats in render.FORMATS.items() for name in formats]
# Later than the older version.
NEWER = {"int8_per_channel_weight_only"}


def entry(tmp_path, *arguments):
    assert render.main([*arguments, "--repository", str(tmp_path / "models")]) == 0
    (folder,) = (tmp_path / "models").iterdir()
    return folder, json.loads((folder / "1" / "model.json").read_text())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("device", "quantization"), FORMATS)
def test_every_argument_is_one_of_vllms(device, quantization, version, tmp_path):
    options = ("--device", device, "--quantization", quantization, "--tensor-parallel", "2", "--revision", "abc")
    _, arguments = entry(tmp_path, "org/model", *options)
    known = VERSIONS[version]
    assert set(arguments) <= set(known["fields"])
    assert arguments["dtype"] in known["dtype"]
    method = arguments.get("quantization")
    if method in NEWER and version == min(VERSIONS):
        assert method not in known["quantization"]
    else:
        assert method is None or method in known["quantization"]


@pytest.mark.parametrize(("device", "quantization"), FORMATS)
def test_the_prefix_cache_is_on_and_the_metrics_are_reported(device, quantization, tmp_path):
    folder, arguments = entry(tmp_path, "org/model", "--device", device, "--quantization", quantization)
    assert arguments["enable_prefix_caching"] is True
    assert arguments["disable_log_stats"] is False
    assert ("gpu_memory_utilization" in arguments) == (device == "gpu")
    config = (folder / "config.pbtxt").read_text()
    assert 'name: "model"' in config
    assert "REPORT_CUSTOM_METRICS" in config
    assert "$" not in config


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"dtype": "float16", "quantization": None}),
        (["--device", "cpu"], {"dtype": "bfloat16", "quantization": None}),
        (["--quantization", "awq"], {"dtype": "float16", "quantization": "awq_marlin"}),
        (["--quantization", "w8a8"], {"dtype": "auto", "quantization": "compressed-tensors"}),
        (["--context-window", "16384"], {"max_model_len": 16384}),
        (["--revision", "abc"], {"revision": "abc"}),
        ([], {"model": "org/model", "tensor_parallel_size": None}),
    ],
)
def test_options_become_arguments(arguments, expected, tmp_path):
    _, written = entry(tmp_path, "org/model", *arguments)
    assert {name: written.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["org/model", "--device", "cpu", "--quantization", "fp16"], "on CPU there is bf16, awq, w8a8, not fp16"),
        (["org/model", "--gpu-memory", "1.5"], "share up to 1"),
        (["org/model", "--context-window", "0"], "must be positive"),
        (["org/a model"], "give another with --name"),
        (["org/model", "--chat-template", "nowhere.jinja"], "there is no file nowhere.jinja"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(arguments, words, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments, "--repository", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("kept", ["chat_template.jinja", "tokenizer_config.json"])
def test_the_chat_template_of_a_folder_is_taken(kept, tmp_path):
    model = tmp_path / "a-model"
    model.mkdir()
    template = "{{ messages[0].content }}"
    (model / kept).write_text(template if kept.endswith("jinja") else json.dumps({"chat_template": template}))
    folder, _ = entry(tmp_path, str(model))
    assert (folder / "chat_template.jinja").read_text() == template


def test_what_it_prints_is_a_configuration_that_inference_takes(tmp_path, capsys):
    model = tmp_path / "a-model"
    model.mkdir()
    (model / "chat_template.jinja").write_text("{{ messages[0].content }}")
    folder, _ = entry(tmp_path, str(model), "--name", "small", "--context-window", "4096")
    printed = yaml.safe_load(capsys.readouterr().out)
    settings = Settings.model_validate({"upstreams": printed["upstreams"]})
    (served,) = settings.upstreams[0].models
    assert (served.name, served.context_window) == ("small", 4096)
    assert served.chat_template == folder / "chat_template.jinja"
    assert printed["models"] == [{"name": "small", "candidates": ["triton/small"]}]


def test_without_a_chat_template_it_says_what_to_do(tmp_path, capsys):
    entry(tmp_path, "org/model")
    assert "--chat-template" in capsys.readouterr().err
