#!/usr/bin/env python3
"""Write a model repository entry that makes embeddings, for Triton's ONNX Runtime backend.

On a CPU it is the graph that the embedding service itself runs: run this by .venv/bin/python. On a GPU it is a float16
graph, exported by torch: run this by scripts/torch.sh. Prints what belongs into penstock.yaml.
"""

import argparse
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from string import Template

from penstock_common.configuration import ConfigurationError
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelSource, find_model, find_tokenizer

TEMPLATE = Path(__file__).parent / "config.pbtxt"
OPSET = 17


@dataclass(frozen=True)
class Entry:
    """What to render; `version` is a new number for each new graph, as vectors are told apart by it."""

    source: ModelSource
    repository: Path
    device: str
    version: int = 1
    max_batch: int = 64
    instances: int = 1


def render(entry: Entry) -> Path:
    """Return the folder of the model, written anew or with one more version."""
    folder = entry.repository / entry.source.name
    version = folder / str(entry.version)
    if version.exists():
        raise ConfigurationError(f"{version} is there already: take another --version")
    with tempfile.TemporaryDirectory() as cache:
        graph = _graph(entry, Path(cache))
        size = _vector_size(graph)
        version.mkdir(parents=True)
        shutil.copyfile(graph, version / "model.onnx")
    values = {
        "name": entry.source.name,
        "max_batch": entry.max_batch,
        "instances": entry.instances,
        "kind": f"KIND_{entry.device.upper()}",
        "values": size,
    }
    (folder / "config.pbtxt").write_text(Template(TEMPLATE.read_text()).substitute(values))
    return folder


def _graph(entry: Entry, folder: Path) -> Path:
    if entry.device == "cpu":
        return prepare(find_model(entry.source), folder).graph
    graph = folder / "float16.onnx"
    export_float16(find_tokenizer(entry.source).tokenizer.parent, graph)
    return graph


def export_float16(model: Path, graph: Path) -> None:
    """Write a model of sentence-transformers, pooling and normalisation included, as a graph with float16 weights."""
    import torch
    from sentence_transformers import SentenceTransformer

    # The other kinds of attention branch by the batch, which a traced graph cannot.
    options = {"attn_implementation": "eager", "dtype": torch.float16}
    encoder = SentenceTransformer(str(model), device="cpu", model_kwargs=options)

    class Normalised(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            return torch.nn.functional.normalize(self.encoder(features)["sentence_embedding"].float(), dim=-1)

    example = torch.ones((2, 4), dtype=torch.int64)
    axes = {0: "texts", 1: "tokens"}
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of shapes that become constants; the test compares other shapes than the example's.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Normalised().eval(),
            (example, example),
            str(graph),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "texts"}},
            opset_version=OPSET,
            dynamo=False,
        )


def _vector_size(graph: Path) -> int:
    """Return the length of the graph's vectors; -1, which Triton takes for any, where the graph does not say."""
    import onnx

    (output,) = onnx.load(str(graph), load_external_data=False).graph.output
    return output.type.tensor_type.shape.dim[1].dim_value or -1


def penstock_yaml(entry: Entry) -> str:
    """Return the section for penstock.yaml."""
    where = f"\n  path: {entry.source.path}" if entry.source.path else ""
    where += f"\n  hub_id: {entry.source.hub_id}" if entry.source.hub_id else ""
    sizes = "\n  max_batch_tokens: 16384\n  max_padding: 0.5" if entry.device == "gpu" else ""
    return f"""embedding:
  model: {entry.source.name}
  runtime: triton{where}
  max_batch: {entry.max_batch}{sizes}
  triton:
    target: 127.0.0.1:8001
    runs_at_once: {entry.instances + 1}
"""


def _parsed(arguments: list[str] | None) -> Entry:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="what callers ask for, and its name at Triton")
    parser.add_argument("--path", type=Path, help="a sentence-transformers directory; else a package, else the hub")
    parser.add_argument("--hub-id", default="", help="such as sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--repository", type=Path, default=Path("models"), metavar="DIR", help="of models, for Triton")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--version", type=int, default=1, metavar="N", help="a new one for each new graph")
    parser.add_argument("--max-batch", type=int, default=64, metavar="TEXTS", help="at least embedding.max_batch")
    parser.add_argument("--instances", type=int, default=1, metavar="N", help="batches that run at once: cores, or 1")
    options = parser.parse_args(arguments)
    source = ModelSource(options.model, options.path, options.hub_id)
    return Entry(source, options.repository, options.device, options.version, options.max_batch, options.instances)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if the entry was written."""
    entry = _parsed(arguments)
    try:
        render(entry)
    except ConfigurationError as error:
        print(f"render.py: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"render.py: {error.name} is not installed: run this by scripts/torch.sh", file=sys.stderr)
        return 2
    print(penstock_yaml(entry), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
