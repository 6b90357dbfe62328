#!/usr/bin/env python3
"""Write a model repository entry for Triton's vLLM backend: `render.py Qwen/Qwen3-8B-AWQ --quantization awq`.

Needs nothing but Python 3.11. MODEL is a name on the hub or a folder. Prints what belongs into penstock.yaml.
"""

import argparse
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

TEMPLATE = Path(__file__).parent / "template"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True)
class Format:
    """How the weights are held; `engine` is what vLLM is told."""

    engine: dict[str, Any]
    meaning: str


# vLLM refuses a checkpoint of another format than the named one, which is why each is named.
GPU_FORMATS = {
    "fp16": Format({"dtype": "float16"}, "any checkpoint, as 16-bit floats"),
    "bf16": Format({"dtype": "bfloat16"}, "any checkpoint, as bfloat16 (compute capability 8.0 and newer)"),
    # Plain "awq" forces the slow kernels.
    "awq": Format({"dtype": "float16", "quantization": "awq_marlin"}, "a checkpoint with 4-bit AWQ weights"),
    "w8a8": Format(
        {"dtype": "auto", "quantization": "compressed-tensors"},
        "a checkpoint of llm-compressor with 8-bit weights and activations",
    ),
    "int8": Format(
        {"dtype": "auto", "quantization": "int8_per_channel_weight_only"},
        "any checkpoint, its weights made 8-bit when it loads; newer vLLM only",
    ),
}
CPU_FORMATS = {
    # Most CPUs have no arithmetic of float16.
    "bf16": GPU_FORMATS["bf16"],
    "awq": Format({"dtype": "bfloat16", "quantization": "awq"}, GPU_FORMATS["awq"].meaning),
    "w8a8": Format({"dtype": "bfloat16", "quantization": "compressed-tensors"}, GPU_FORMATS["w8a8"].meaning),
}
FORMATS = {"gpu": GPU_FORMATS, "cpu": CPU_FORMATS}


class UnrenderableError(ValueError):
    """The options do not go together; the message says which."""


@dataclass(frozen=True)
class Request:
    """What to render."""

    model: str
    name: str
    device: str
    quantization: str
    context_window: int
    tensor_parallel: int = 1
    gpu_memory: float = 0.9
    revision: str = ""
    chat_template: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what vLLM would refuse after minutes; raises UnrenderableError."""
        if not re.fullmatch(NAME_PATTERN, self.name):
            raise UnrenderableError(f"'{self.name}' cannot name a model on Triton: give another with --name")
        formats = FORMATS[self.device]
        if self.quantization not in formats:
            known = ", ".join(formats)
            raise UnrenderableError(f"on {self.device.upper()} there is {known}, not {self.quantization}")
        if self.context_window < 1 or self.tensor_parallel < 1 or not 0 < self.gpu_memory <= 1:
            raise UnrenderableError("a window and devices must be positive, and --gpu-memory a share up to 1")


def engine_arguments(request: Request) -> dict[str, Any]:
    """The fields of vLLM's AsyncEngineArgs for model.json."""
    arguments: dict[str, Any] = {"model": request.model}
    if request.revision:
        arguments["revision"] = request.revision
    arguments |= FORMATS[request.device][request.quantization].engine
    arguments["max_model_len"] = request.context_window
    if request.device == "gpu":
        arguments["gpu_memory_utilization"] = request.gpu_memory
    if request.tensor_parallel > 1:
        arguments["tensor_parallel_size"] = request.tensor_parallel
    return arguments | json.loads((TEMPLATE / "1" / "model.json").read_text(encoding="utf-8"))


def render(request: Request, repository: Path) -> Path:
    """Write the entry and return its folder; an entry of the same name is replaced, other files in it stay."""
    folder = repository / request.name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    config = Template((TEMPLATE / "config.pbtxt").read_text(encoding="utf-8"))
    (folder / "config.pbtxt").write_text(config.substitute(name=request.name), encoding="utf-8")
    arguments = json.dumps(engine_arguments(request), indent=2) + "\n"
    (folder / "1" / "model.json").write_text(arguments, encoding="utf-8")
    _write_chat_template(request, folder / "chat_template.jinja")
    return folder


def _write_chat_template(request: Request, target: Path) -> None:
    """Penstock renders the prompt, so it needs the model's own template."""
    model = Path(request.model)
    source = request.chat_template or model / "chat_template.jinja"
    if source.is_file():
        shutil.copyfile(source, target)
        return
    if request.chat_template is not None:
        raise UnrenderableError(f"there is no file {source}")
    settings = model / "tokenizer_config.json"
    if settings.is_file():
        written = json.loads(settings.read_text(encoding="utf-8")).get("chat_template")
        if isinstance(written, str):
            target.write_text(written, encoding="utf-8")


def penstock_yaml(request: Request, folder: Path) -> str:
    """What to write into penstock.yaml."""
    template = folder / "chat_template.jinja"
    known = f"\n        chat_template: {template}" if template.is_file() else ""
    return f"""\
upstreams:
  - name: triton
    provider: triton
    grpc: triton:8001           # host:port of the Triton that has the vLLM backend
    models:
      - name: {request.name}
        context_window: {request.context_window}{known}
models:
  - name: {request.name}
    candidates: [triton/{request.name}]
"""


def _parsed(arguments: list[str] | None) -> tuple[Request, Path]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="a name on the hub, such as Qwen/Qwen3-8B, or a folder")
    parser.add_argument("--name", help="at Triton; the last part of MODEL without it")
    parser.add_argument("--device", choices=FORMATS, default="gpu")
    meanings = "; ".join(f"{name}: {form.meaning}" for name, form in GPU_FORMATS.items())
    parser.add_argument(
        "--quantization", choices=GPU_FORMATS, help=f"{meanings}. fp16 on a GPU, bf16 on a CPU without it"
    )
    parser.add_argument(
        "--context-window", type=int, default=8192, metavar="TOKENS", help="question and answer together"
    )
    parser.add_argument("--tensor-parallel", type=int, default=1, metavar="N", help="devices that share each layer")
    parser.add_argument("--gpu-memory", type=float, default=0.9, metavar="SHARE", help="of each GPU, for this model")
    parser.add_argument("--revision", default="", help="of MODEL on the hub: a commit makes starts repeatable")
    parser.add_argument("--chat-template", type=Path, metavar="FILE", help="Jinja; that of a folder is found")
    parser.add_argument("--repository", type=Path, default=Path("models"), metavar="DIR", help="of models, for Triton")
    options = parser.parse_args(arguments)
    request = Request(
        model=options.model,
        name=options.name or options.model.rstrip("/").rpartition("/")[2],
        device=options.device,
        quantization=options.quantization or ("fp16" if options.device == "gpu" else "bf16"),
        context_window=options.context_window,
        tensor_parallel=options.tensor_parallel,
        gpu_memory=options.gpu_memory,
        revision=options.revision,
        chat_template=options.chat_template,
    )
    return request, options.repository


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if the entry was written."""
    try:
        request, repository = _parsed(arguments)
        folder = render(request, repository)
    except UnrenderableError as error:
        print(f"render.py: {error}", file=sys.stderr)
        return 2
    print(penstock_yaml(request, folder), end="")
    if not (folder / "chat_template.jinja").is_file():
        print(
            "render.py: no chat template was found, so Penstock would write ChatML: take 'chat_template' of the model's "
            "tokenizer_config.json, or its chat_template.jinja, and name the file with --chat-template",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
