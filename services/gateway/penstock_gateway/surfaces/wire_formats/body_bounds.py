"""How much a JSON body may hold, found by a look at its bytes before anything is made of them.

A decoder makes an object of every element, at 10 to 100 times the bytes, and
cannot be interrupted: what a body costs is in its elements, not in its length.
One long string, such as an image, is one element.
"""

from __future__ import annotations

from typing import Final

import msgspec

from penstock_common.errors import InvalidRequest

# Each step of a look holds the interpreter for a millisecond at most.
_PIECE_BYTES = 256 * 1024
_ROUND: Final = bytes.maketrans(b"[{]}", b"(())")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class BodyBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What is refused unread. The defaults are far above what honest requests have.

    100,000 elements are decoded in 50 ms at the worst, measured with the
    dearest of them (members of one object); 2,048 turns and 128 tools have some
    20,000.
    """

    max_elements: int = 100_000
    """Values in arrays and members of objects, at every depth."""
    max_depth: int = 64
    """Arrays and objects inside one another. People's schemas reach about 25."""

    def check(self, body: bytes) -> None:
        """Look at a body, whether it is JSON or not: what is none is the decoder's to refuse.

        Raises:
            InvalidRequest: if it holds more.
        """
        # What has few bytes has few elements, and what opens few brackets is not deep.
        if len(body) <= self.max_elements and body.count(b"[") + body.count(b"{") <= self.max_depth:
            return
        self._look_closer(body)

    def _look_closer(self, body: bytes) -> None:
        elements, is_inside, carried = 0, False, b""
        brackets: list[bytes] = []
        for start in range(0, len(body), _PIECE_BYTES):
            piece = carried + body[start : start + _PIECE_BYTES]
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
            # A backslash at the end belongs to what follows.
            carried = piece[-1:] if piece.endswith(b"\\") else b""
            parts = piece[: len(piece) - len(carried)].split(b'"')
            outside = b"".join(parts[1 if is_inside else 0 :: 2])
            is_inside ^= not len(parts) % 2
            elements += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
            if elements > self.max_elements:
                raise InvalidRequest(
                    f"The body has more than {self.max_elements} JSON elements (gateway.max_body_elements)."
                )
            brackets.append(outside.translate(_ROUND, _NOT_BRACKETS))
        self._check_depth(b"".join(brackets))

    def _check_depth(self, brackets: bytes) -> None:
        """Take the innermost pairs away, layer by layer."""
        for _ in range(self.max_depth):
            outer = brackets.replace(b"()", b"")
            if len(outer) == len(brackets):
                return
            brackets = outer
        if b"()" in brackets:
            raise InvalidRequest(f"The body is nested deeper than {self.max_depth} levels (gateway.max_body_depth).")
