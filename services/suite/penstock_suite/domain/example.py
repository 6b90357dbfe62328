"""A configuration to begin with: commented, and for the providers that were asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

_NAME = re.compile(r"^ *- name: (\S+)", re.MULTILINE)
_KEY = re.compile(r"^ *api_key: \$\{(\w+)\}", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """An upstream as the file has it, below ``upstreams:``; ``candidate`` is upstream/model.

    ``variable`` is what the environment must hold.
    """

    candidate: str
    text: str
    variable: str = ""


class Examples(NamedTuple):
    """What a configuration to begin with is made of: an example by provider, and whether embeddings can be made here."""

    of_providers: Mapping[str, Example]
    has_weights: bool


def example_of(text: str) -> Example:
    """Return the example that a list of one upstream is."""
    names = _NAME.findall(text)
    key = _KEY.search(text)
    indented = "".join(f"  {line}\n" if line else "\n" for line in text.splitlines())
    return Example(f"{names[0]}/{names[1]}", indented, key[1] if key else "")


_FILE = """\
# A configuration of Penstock. docs/configuration.md has every key, and so has `penstock config reference`.
#
#   penstock config check --config {path}
#   penstock up --config {path}
#
# ${{NAME}} reads a variable of the environment, ${{file:/run/secrets/x}} a file; a literal ${{ is written $${{.

listen:
  http: 127.0.0.1:8080                          # REST and the wire formats; for another port, change it here
  grpc: 127.0.0.1:8081

# Whom Penstock calls, and which of their models.
upstreams:
{upstreams}
# What callers ask for. Candidates stand in order of preference: where one fails, the next is asked.
models:
  - name: chat
    candidates:
{candidates}
# Who may ask: free has 10 requests a minute, pro 100, enterprise 1000. `penstock keys create --tenant demo` makes keys.
tenants:
  - name: demo
    tier: pro

# This tenant gets the key that `penstock up` makes and keeps in its state folder.
local: {{demo_tenant: demo}}

# What was answered before is answered again: `off`, `exact` for the same request word by word, or `semantic` for the same
# question in other words, too (docs/caching.md), which needs the embedding model.
cache: {{mode: {mode}, max_temperature: 0.3}}
{embedding}"""
_EMBEDDING = "embedding: {model: all-MiniLM-L6-v2, load: on_first_use}\n"


def example_configuration(examples: Iterable[Example], path: str, *, has_weights: bool) -> str:
    """Return the file with these examples, each once; ``path`` is what its comments call it.

    ``has_weights`` says that the embedding model is on this machine.
    """
    examples = list(dict.fromkeys(examples))
    return _FILE.format(
        path=path,
        upstreams="\n".join(example.text for example in examples),
        mode="semantic" if has_weights else "exact",
        embedding=_EMBEDDING if has_weights else f"# {_EMBEDDING}",
        candidates="".join(f"      - {example.candidate}\n" for example in examples),
    )
