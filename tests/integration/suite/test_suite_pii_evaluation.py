"""`penstock eval pii` through the gateway's own detector."""

from __future__ import annotations

import gzip
import json


def text(number, said, *entities):
    marked = [
        {"type": kind, "start": said.index(value), "end": said.index(value) + len(value)} for kind, value in entities
    ]
    return {"id": str(number), "text": said, "entities": marked, "lang": "en"}


TEXTS = [
    text(1, "Mr Hartley's mail is hart@quill.example.", ("person", "Hartley"), ("email", "hart@quill.example")),
    text(2, "Ship to 14 Pelham Crescent, Stowbridge SB3 9QT", ("address", "14 Pelham Crescent, Stowbridge SB3 9QT")),
    text(3, "Version 4.18.0.2 of the driver is out."),
]


def test_texts_go_through_the_real_detector(penstock, tmp_path):
    dataset = tmp_path / "texts.jsonl.gz"
    dataset.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in TEXTS).encode()))
    goals = ("--min-recall", "1", "--min-precision", "1", "--min-f2", "1", "--max-touched", "0")
    told = penstock("eval", "pii", dataset, "--json", *goals)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["texts"], found["structured"]["recall"], found["named"]["exact"]) == (3, 1.0, 2)
    assert (found["clean_texts"], found["clean_touched"], found["setting"]["dataset"]) == (1, 0, "texts.jsonl.gz")
    assert "Hartley" not in told.stdout
    plain = tmp_path / "texts.jsonl"
    plain.write_text(json.dumps(TEXTS[0]))
    told = penstock("eval", "pii", plain, "--rules", "--min-f2", "0.5")
    assert told.returncode == 1
    assert "0.00% is the lower F2 of persons and addresses, less than 50.00%." in told.stderr
    assert "Missed: 1 person." in told.stderr


def test_what_is_no_dataset_is_named(penstock, tmp_path):
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b"{}" * 1000)[:-9])
    for dataset, said in ((broken, "ends within its gzip stream"), (tmp_path / "none", "cannot be read")):
        told = penstock("eval", "pii", dataset)
        assert told.returncode != 0
        assert said in told.stderr
    told = penstock("eval", "pii", broken, "--max-touched", "2")
    assert "--max-touched must be between 0 and 1, not 2" in told.stderr
