"""The chart before kube-score, a checker of what is owed to a cluster; what it says and is let be has a reason here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from chart import CASES, NoRegistry
from chart import build_tool as build
from conftest import _go

_SCORER = "github.com/zegl/kube-score/cmd/kube-score"
# The newest whose kinds this version of it knows.
_KUBERNETES = "v1.35"
_CRITICAL = 5

LET_BE = {
    "container-image-pull-policy": "images have a fixed tag or a digest: to ask the registry at each start makes it a part of every start",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread pods over zones and nodes, and stay satisfiable",
}
"""Checks that are not made, and why."""
LET_BE_OF = {
    ("container-resources", "CPU limit is not set"): "a throttled event loop is a slow one for every stream in it",
    ("container-security-context-user-group-id", "penstock-redis-state"): "the image's own user, which owns its files",
    ("container-security-context-user-group-id", "penstock-redis-cache"): "the same",
    ("container-security-context-user-group-id", "penstock-postgres"): "the same",
    ("container-security-context-user-group-id", "penstock-qdrant"): "the same",
    ("container-security-context-user-group-id", "penstock-triton"): "the same",
    (
        "pod-probes-identical",
        "penstock-qdrant",
    ): "its image has nothing that could ask but a shell; a port that takes connections is both",
    ("deployment-replicas", "penstock-triton"): "GPUs are rare: one, or none",
    ("horizontalpodautoscaler-replicas", "penstock-triton"): "the same",
    ("deployment-replicas", "KEDA"): "KEDA has the number, of which kube-score knows nothing",
}
"""What it says of some objects, or in some words, and why that may be."""


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program."""
    go = _go()
    if go is None:
        pytest.skip("kube-score comes as a Go module: run 'make setup'")
    try:
        return build(
            go, Path(__file__).with_name("chart_policy"), _SCORER, tmp_path_factory.mktemp("scorer") / "kube-score"
        )
    except NoRegistry as reason:
        pytest.skip(str(reason))


def _said(scorer: Path, text: str) -> list[tuple[str, str, str]]:
    """Return check, object and words of everything that is not as it should be."""
    ignored = [word for name in LET_BE for word in ("--ignore-test", name)]
    command = [scorer, "score", "--kubernetes-version", _KUBERNETES, "--output-format", "json", *ignored, "-"]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert ran.stdout, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return [
        (check["check"]["id"], judged["object_meta"]["name"], comment["summary"])
        for judged in found
        for check in judged["checks"]
        if not check["skipped"]
        for comment in check["comments"] or []
        if check["grade"] <= _CRITICAL
    ]


def _reason(check: str, name: str, words: str, scaled: set[str]) -> tuple[str, str] | None:
    keys = [(check, name), (check, words), *([(check, "KEDA")] if name in scaled else [])]
    return next((key for key in keys if key in LET_BE_OF), None)


def test_nothing_is_said_that_has_no_reason(charts, scorer):
    used: set[tuple[str, str]] = set()
    for case in CASES:
        rendered = charts[case]
        scaled = {o["spec"]["scaleTargetRef"]["name"] for o in rendered.of("ScaledObject")}
        text = "\n---\n".join(text for name, text in rendered.files.items() if name != "NOTES.txt")
        said = _said(scorer, text)
        reasons = {line: _reason(*line, scaled) for line in said}
        assert [line for line, reason in reasons.items() if reason is None] == [], case
        used |= {reason for reason in reasons.values() if reason is not None}
    assert used == set(LET_BE_OF), "a reason for what is not said any more"


def test_what_is_wrong_is_said(charts, scorer):
    text = (
        charts["default"].files["router.yaml"].replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    )
    assert "container-security-context-readonlyrootfilesystem" in {check for check, _, _ in _said(scorer, text)}
