"""Print the answers of unseen/, which no training sees, as `penstock eval grounding` reads them.

`python tools/train_grounding/unseen.py > unseen.jsonl`
"""

import json
from pathlib import Path

from answers import own_answers


def main() -> None:
    """Print one JSON line an answer."""
    for number, one in enumerate(own_answers(Path(__file__).parent / "unseen")):
        row = {"id": f"{one.group}:{number}", "context": one.context, "answer": one.text, "label": one.label}
        print(json.dumps(row | {"kind": one.kind, "source": ""}, ensure_ascii=False))


if __name__ == "__main__":
    main()
