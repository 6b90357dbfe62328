"""Writes docs/configuration.md from the settings of the services; ``--check`` only compares.

Run it after a change of any setting. A setting without a text under its declaration is a fault.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from penstock_suite.app.reference import reference, undescribed

PAGE = Path(__file__).parent.parent / "docs/configuration.md"


def main() -> int:
    """Write or compare the page; return 1 where something is missing or not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    checks = parser.parse_args().check
    if missing := undescribed():
        print(f"configuration: say under the declaration what these mean: {', '.join(missing)}", file=sys.stderr)
        return 1
    page = reference()
    if not checks:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        print(f"{PAGE} is not current: run {Path(__file__).name}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
