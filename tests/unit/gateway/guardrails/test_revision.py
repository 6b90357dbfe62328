"""What a rule finds changes with its code: whoever changes that raises its kind's revision, or says here that it finds the same."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

import penstock_gateway
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.app.guard_rules import REVISIONS, rule_of
from penstock_gateway.domain.guardrails.pipeline.judging import Judge, Memo
from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.guardrails.pipeline.told import Tally
from penstock_gateway.guardrail_settings import RuleSettings

ROOT = Path(penstock_gateway.__file__).parent
DOMAIN = "penstock_gateway.domain.guardrails."
KINDS = {
    "pii": ("rules.personal", "pii.detector"),
    "secrets": ("rules.personal", "pii.detector"),
    "injection": ("rules.injected", "injection.detector"),
    "exfiltration": ("rules.carriers",),
    "words": ("rules.phrases",),
    "pattern": ("rules.phrases",),
    "length": ("rules.measures",),
    "language": ("rules.measures",),
    "tools": ("rules.tools",),
    "topics": ("rules.topics",),
    "grounding": ("rules.grounded",),
    "spotlight": ("rules.marking",),
}
# Revision, and the code that it stands for. A change that finds the same has the new digest alone.
KNOWN: dict[str, tuple[int, str]] = {
    "pii": (2, "01e8fefa56e1"),
    "secrets": (1, "35158f43aa8d"),
    "injection": (2, "a80edbd2946f"),
    "exfiltration": (3, "d898a2822e5c"),
    "words": (2, "2736dbab85f7"),
    "pattern": (2, "2736dbab85f7"),
    "length": (1, "0358e853140c"),
    "language": (1, "0358e853140c"),
    "tools": (2, "7c7ed2616772"),
    "topics": (1, "81c4af2170c0"),
    "grounding": (1, "cfc848c84c48"),
    "spotlight": (1, "c16ffd50eab9"),
}
HELP = (
    "{kind}: raise REVISIONS['{kind}'] in app/guard_rules.py if its rules find anything else now, and write {now} here"
)


def without_words(tree: ast.AST) -> ast.AST:
    """Return code without its documentation."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [
                one for one in body
                if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str))
            ]  # fmt: skip
    return tree


@cache
def module(name: str) -> tuple[str, frozenset[str]]:
    """Return a module's code as it runs, and the modules of guardrails that it takes from."""
    tree = without_words(ast.parse((ROOT.parent / (name.replace(".", "/") + ".py")).read_text()))
    taken = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            whole = node.module or ""
            is_package = (ROOT.parent / whole.replace(".", "/")).is_dir()
            taken |= {f"{whole}.{one.name}" for one in node.names} if is_package else {whole}
    # How rules are put to work is the same for all.
    of_rules = {one for one in taken if one.startswith(DOMAIN) and ".pipeline." not in one}
    return ast.unparse(tree), frozenset(of_rules)


def digest_of(kind: str) -> str:
    """Return what changes with a kind's code, and with the data that stands beside it."""
    names, waiting = set[str](), {DOMAIN + one for one in KINDS[kind]}
    while waiting:
        name = waiting.pop()
        names.add(name)
        waiting |= module(name)[1] - names
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0{module(name)[0]}\0".encode())
    folders = {(ROOT.parent / name.replace(".", "/")).parent for name in names}
    if kind == "pii":
        # What names and addresses are told by.
        folders.add(ROOT / "adapters" / "guardrails")
    for folder in sorted(folders):
        for path in sorted(folder.iterdir()):
            if path.suffix in {".bin", ".json", ".toml", ".txt", ".gz"}:
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def test_whoever_changes_what_a_rule_finds_raises_its_revision():
    now = {kind: (REVISIONS.get(kind, 1), digest_of(kind)) for kind in KINDS}
    assert not [HELP.format(kind=kind, now=now[kind]) for kind in KINDS if KNOWN.get(kind) != now[kind]]


def test_a_digest_changes_with_code_and_not_with_words():
    def of(text: str) -> str:
        return ast.unparse(without_words(ast.parse(text)))

    assert of('"""Say."""\nx = 1  # so\n') == of("x = 1\n") != of("x = 2\n")
    assert of('def f():\n    """Say."""\n    return "a"\n') != of('def f():\n    return "b"\n')


async def test_what_was_found_before_a_change_is_not_remembered_after_it(monkeypatch):
    memo, settings = Memo(), RuleSettings.model_validate({"kind": "words", "deny": ["acme"]})
    before = rule_of("one", settings)
    judge = Judge(Threads(1, 1), Tally(), memo)
    assert await judge.found(before, "acme", Surface.INPUT)
    # Another rule of that name, by a reload.
    other = rule_of("one", RuleSettings.model_validate({"kind": "words", "deny": ["zeus"]}))
    assert not await judge.found(other, "acme", Surface.INPUT)
    # The same settings, and code that finds something else.
    monkeypatch.setitem(REVISIONS, "words", 99)
    assert rule_of("one", settings).version != before.version
