"""Fail where files of the packages import one another in a circle, also where only types are imported."""

from __future__ import annotations

import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def main() -> int:
    """Print a circle that there is, and return 1; 0 where there is none."""
    packages = tomllib.loads(_PROJECT.read_text())["tool"]["importlinter"]["root_packages"]
    graph = grimp.build_graph(*packages, cache_dir=None)
    imports = TopologicalSorter(
        {module: graph.find_modules_directly_imported_by(module) for module in sorted(graph.modules)}
    )
    try:
        imports.prepare()
    except CycleError as error:
        # Each is imported by the next.
        print("A circle of imports:", " <- ".join(error.args[1]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
