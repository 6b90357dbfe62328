"""Print the texts of unseen/, which no training sees, as `penstock eval injection` reads them.

`python tools/train_injection/unseen.py > unseen.jsonl`
"""

import json

from generate import HERE, hand_written


def main() -> None:
    """Print one JSON line a text."""
    for text in hand_written(HERE / "unseen"):
        row = {"id": text.group, "text": text.text, "label": "attack" if text.is_attack else "benign"}
        print(json.dumps(row | {"kind": text.kind, "surface": text.surface, "long": False}, ensure_ascii=False))


if __name__ == "__main__":
    main()
