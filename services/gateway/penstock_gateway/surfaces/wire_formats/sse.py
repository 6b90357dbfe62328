"""Frames of server-sent events, as readers of every vendor's SDK split them."""

from __future__ import annotations

COMMENT = b": keep-alive\n\n"
"""Says nothing, and keeps a silent connection open."""

# JSON lets these stand as they are, but readers that split lines with Python's
# str.splitlines (httpx's iter_lines among them) end a line at each.
_LINE_SEPARATORS = (
    ("\x85".encode(), b"\\u0085"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def on_one_line(frames: bytes) -> bytes:
    """Return the frames with what some readers take for the end of a line escaped."""
    if frames.isascii():
        return frames
    for separator, escape in _LINE_SEPARATORS:
        frames = frames.replace(separator, escape)
    return frames
