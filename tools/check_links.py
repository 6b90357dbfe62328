"""Holds every relative link of the documentation to a file, and every anchor to a heading."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)
_OUTSIDE = ("http://", "https://", "mailto:")


def main() -> int:
    """Print every broken link; return 1 if there is one."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, check=True
    )
    documents = [ROOT / name for name in listed.stdout.decode().split()]
    faults = [fault for document in documents if document.exists() for fault in _faults(document)]
    print("\n".join(faults) or f"links: {len(documents)} documents")
    return 1 if faults else 0


def _faults(document: Path) -> list[str]:
    text = _CODE.sub("", document.read_text(encoding="utf-8"))
    faults: list[str] = []
    for target in _LINK.findall(text):
        if target.startswith(_OUTSIDE):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists():
            faults.append(f"{document.relative_to(ROOT)}: {target}: no such file")
        elif anchor and file.suffix == ".md" and anchor not in _anchors(file):
            faults.append(f"{document.relative_to(ROOT)}: {target}: no such heading")
    return faults


def _anchors(document: Path) -> set[str]:
    return {_slug(heading) for heading in _HEADING.findall(document.read_text(encoding="utf-8"))}


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", ""))
    return kept.strip().replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
