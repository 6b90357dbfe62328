"""Where sentences end."""

from __future__ import annotations

import re

SENTENCE_END = re.compile(
    r"[.!?\u2026][\"'\u201d\u2019)\]]*+\s|[\u3002\uff01\uff1f\u0964\u06d4][\u300d\u300f\u201d]?+|\n[ \t\r]*+\n"
)
"""The sign that ends one, what closes after it, and one blank; or a blank line."""
CLOSING_SIGNS = ".!?:;,\u3002\uff01\uff1f\u0964\u06d4\u2026"
"""Where a line ends with one, it does not end in the midst of words."""
