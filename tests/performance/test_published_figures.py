"""What is said of peers is what was measured: no figure of a wrong answer, no silence about one that did not run."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

PUBLICATION = Path(__file__).parents[2] / "bench" / "publication.py"
CASES = ("unary", "unary, 20 turns", "stream of 100 tokens", "exact hit")


def lane(row, case, in_flight, cpu_us, **more):
    return {
        "row": row, "case": case, "in_flight": in_flight, "cpu_us": cpu_us, "requests": 100, "errors": 0,
        "first_error": "", "requests_per_second": 1000.0, "others_cores": 0.1, "load_average": 1.0,
        "added_whole_p50_ms": 0.5, "added_whole_p99_ms": 1.5, **more,
    }  # fmt: skip


@pytest.fixture
def found():
    """Three that ran, of which one streams wrongly, and one that could not be had."""
    costs = {"direct": 10.0, "ours": 300.0, "peer": 900.0}
    return {
        "began": "2026-01-02T03:04:05+00:00", "commit": "abcdef0", "rounds": 7, "seconds_of_a_turn": 1.5,
        "machine_before": {"cores": 2},
        "rows": {
            "ours": {"language": "Python", "versions": {"commit": "abcdef0"}, "setup": "all of it"},
            "peer": {"language": "Rust", "versions": {"peer": "1.2"}, "setup": "a worker"},
            "gone": {"language": "Go", "packages": ["gone==9"], "setup": "none", "failed": "no such package\nat all"},
        },
        "memory_mb": {"ours": {"penstock": 100.0, "edge": 20.4}, "peer": {"peer": 50.0}},
        "figures": [
            *(lane(row, case, n, us + at) for row, us in costs.items() for at, case in enumerate(CASES[:2]) for n in (16, 1)),
            lane("ours", "stream of 100 tokens", 16, 800.0),
            lane("ours", "exact hit", 16, 120.0),
            lane("peer", "stream of 100 tokens", 16, 7.0, errors=20, first_error="status 500"),
        ],
    }  # fmt: skip


@pytest.fixture
def run(found, tmp_path):
    def run(*arguments):
        figures = tmp_path / "figures.json"
        figures.write_text(json.dumps(found))
        command = [sys.executable, PUBLICATION, figures, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    return run


@pytest.fixture
def readme(tmp_path):
    (tmp_path / "results").mkdir()
    path = tmp_path / "README.md"
    path.write_text("# Benchmarks\n\nfirst\n\n## Embedding\n\nlast\n")
    return path


def row_of(text, name):
    (line,) = re.findall(rf"^\| {name} \| \d.*$", text, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_stand_in_order_of_what_they_cost_with_what_was_measured(run, readme):
    run("--into", readme.parent)
    text = readme.read_text()
    assert row_of(text, "ours") == ["ours", "300", "301", "800", "120", "1000", "1000", "0.50 / 1.50", "", "120"]
    assert text.index("| direct |") < text.index("| ours |") < text.index("| peer |")


def test_what_answered_wrongly_has_no_figure_and_is_named(run, readme):
    run("--into", readme.parent)
    text = readme.read_text()
    assert row_of(text, "peer") == ["peer", "900", "901", "", "", "1000", "", "0.50 / 1.50", "", "50"]
    assert "peer, stream of 100 tokens, 16 in flight: 20 errors, status 500" in text


def test_what_did_not_run_is_named_with_the_reason(run, readme):
    run("--into", readme.parent)
    assert "gone did not run: no such package" in readme.read_text()
    assert "gone did not run: no such package" in run()


def test_to_publish_again_replaces_the_section_and_nothing_else(run, readme):
    run("--into", readme.parent)
    once = readme.read_text()
    run("--into", readme.parent)
    assert readme.read_text() == once
    assert once.startswith("# Benchmarks\n\nfirst\n\n## Beside peers\n")
    assert once.endswith("\n\n## Embedding\n\nlast\n")
    assert json.loads((readme.parent / "results" / "peers.json").read_text())["commit"] == "abcdef0"


def test_the_picture_has_a_dot_for_each_figure(run, readme):
    run("--into", readme.parent)
    picture = ET.parse(readme.parent / "results" / "peers.svg")
    places = [circle.get("cx") for circle in picture.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(places) == len(CASES) + 4 + 2
