"""llm-comply, with answers held against the published schema of open responses."""

from __future__ import annotations

import sys

from checks import REASONING_MODEL
from comply import main

sys.exit(main("open-responses", REASONING_MODEL))
