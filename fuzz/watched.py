"""The ``penstock`` command, which on SIGUSR2 counts what is alive in it into the file that PENSTOCK_CENSUS names."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from penstock_suite.__main__ import main


def _count(*_: Any) -> None:
    gc.collect()
    alive = gc.get_objects()
    tasks = sum(isinstance(each, asyncio.Task) and not each.done() for each in alive)
    kinds = Counter(type(each).__qualname__ for each in alive)
    census = Path(os.environ["PENSTOCK_CENSUS"])
    written = census.with_suffix(".new")
    written.write_text(json.dumps({"tasks": tasks, "objects": len(alive), "kinds": dict(kinds.most_common(12))}))
    written.replace(census)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, _count)
    sys.exit(main())
