"""llm-comply, with answers held against Anthropic's published schema."""

from __future__ import annotations

import sys

from checks import CLAUDE_MODEL
from comply import main

sys.exit(main("anthropic", CLAUDE_MODEL))
