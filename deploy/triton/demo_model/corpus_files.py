"""The corpus as it is written: facts, phrasings, questions to decline, and the questions that are held out."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FACT_FILES = ("penstock.yaml", "serving.yaml", "conversation.yaml")


@dataclass(frozen=True)
class Fact:
    """One thing the model knows: an answer, what it is called, and questions written by hand."""

    id: str
    answer: str
    asks: tuple[str, ...]
    names: tuple[str, ...]
    weight: int  # how often it is asked, against 1


@dataclass(frozen=True)
class Phrasings:
    """Wordings shared by all facts."""

    templates: tuple[str, ...]
    opening: tuple[str, ...]
    closing: tuple[str, ...]
    systems: tuple[str, ...]
    fillers: tuple[str, ...]
    light_words: frozenset[str]
    synonyms: dict[str, tuple[str, ...]]


def load_facts() -> dict[str, Fact]:
    """All facts by id, in file order."""
    facts: dict[str, Fact] = {}
    more = yaml.safe_load((CORPUS / "rewordings.yaml").read_text())
    for name in FACT_FILES:
        for entry in yaml.safe_load((CORPUS / name).read_text()):
            names = () if entry.get("kind") == "none" else tuple(entry["names"].split(" | "))
            if entry["id"] in facts:
                raise ValueError(f"fact {entry['id']} is written twice")
            asks = (*lines(entry["ask"]), *lines(more.pop(entry["id"], "")))
            facts[entry["id"]] = Fact(entry["id"], entry["answer"].strip(), asks, names, entry.get("weight", 1))
    if more:
        raise ValueError(f"rewordings of unknown facts: {sorted(more)}")
    return facts


def load_phrasings() -> Phrasings:
    """The shared wordings."""
    raw = yaml.safe_load((CORPUS / "phrasings.yaml").read_text())
    synonyms: dict[str, tuple[str, ...]] = {}
    for line in raw["synonyms"]:
        group = tuple(line.split("|"))
        for word in group:
            synonyms[word] = synonyms.get(word, ()) + tuple(other for other in group if other != word)
    lists = (tuple(raw[key]) for key in ("templates", "opening", "closing", "systems"))
    return Phrasings(*lists, tuple(raw["fillers"].split()), frozenset(raw["light_words"].split()), synonyms)


def load_unknown() -> dict[str, Any]:
    """Questions to decline, lists for their slots, and the follow-ups."""
    return yaml.safe_load((CORPUS / "unknown.yaml").read_text())


def held_out_questions() -> set[str]:
    """Normalised rewordings of questions.jsonl, which training must not see."""
    entries = (HERE / "questions.jsonl").read_text().splitlines()
    return {normalise(text) for entry in entries for text in json.loads(entry)["rewordings"]}


def normalise(text: str) -> str:
    """Lower case, words only: two questions that differ in case or punctuation are the same question."""
    return " ".join(re.findall(r"[a-z0-9/+_.-]*[a-z0-9]", text.lower()))


def lines(block: str) -> list[str]:
    """The lines of a YAML block that are not empty."""
    return [line.strip() for line in block.splitlines() if line.strip()]
