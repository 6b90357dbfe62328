"""How much a word looks like a name, and how much like a place or a brand: by its letters, learned; and the same for contexts."""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from zlib import crc32

_MAGIC = b"PNSTKPII1"
WORD_BITS = 19
CONTEXT_BITS = 16
VERSION = 1


class UnusableWeights(Exception):
    """A file that holds no weights of this form."""


class Weights:
    """What was learned: eight-bit weights of hashed features, with their scales."""

    def __init__(self, name: array[int], other: array[int], context: array[int], head: dict[str, float]) -> None:
        self.name, self.other, self.context = name, other, context
        self.name_scale, self.other_scale, self.context_scale = (
            head["name_scale"],
            head["other_scale"],
            head["context_scale"],
        )
        self.name_bias, self.other_bias, self.context_bias = head["name_bias"], head["other_bias"], head["context_bias"]
        self.threshold = head["threshold"]
        # Where nothing else was found, there is less reason to think of a person.
        self.threshold_alone = head.get("threshold_alone", self.threshold)

    def likeness(self, lower: str) -> tuple[float, float]:
        """Return the log-odds that the word is a name and that it is a place or a brand, against an ordinary word."""
        mask = (1 << WORD_BITS) - 1
        table, second = self.name, self.other
        whole, *parts = [feature & mask for feature in grams(lower)]
        share = len(parts) ** -0.5
        name = table[whole] + share * sum([table[place] for place in parts])
        other = second[whole] + share * sum([second[place] for place in parts])
        return self.name_bias + self.name_scale * name, self.other_bias + self.other_scale * other

    def context_score(self, features: list[str]) -> float:
        """Return the log-odds of a word's features."""
        mask = (1 << CONTEXT_BITS) - 1
        table = self.context
        return self.context_bias + self.context_scale * sum([table[crc32(each.encode()) & mask] for each in features])


def grams(lower: str) -> list[int]:
    """Return the hash of a word, and of its parts of two to four letters, with its beginning and end."""
    written = f"^{lower}$".encode("utf-16-le")
    length = len(written)
    found = [crc32(written)]
    for size in (4, 6, 8):
        found += [crc32(written[start : start + size]) for start in range(0, length - size + 1, 2)]
    return found


def packed(head: dict[str, float], tables: list[bytes]) -> bytes:
    """Return a file of weights."""
    said = json.dumps(head).encode()
    body = struct.pack("<I", len(said)) + said + b"".join(tables)
    return _MAGIC + zlib.compress(body, 9)


def weights_from(content: bytes) -> Weights:
    """Return the weights of a file.

    Raises:
        UnusableWeights: if it is none.
    """
    if not content.startswith(_MAGIC):
        raise UnusableWeights("these are no weights of the detector of names")
    body = zlib.decompress(content[len(_MAGIC) :])
    (length,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + length])
    sizes = (1 << WORD_BITS, 1 << WORD_BITS, 1 << CONTEXT_BITS)
    if head.get("version") != VERSION or len(body) != 4 + length + sum(sizes):
        raise UnusableWeights("these weights are of another version of the detector of names")
    tables: list[array[int]] = []
    start = 4 + length
    for size in sizes:
        tables.append(array("b", body[start : start + size]))
        start += size
    return Weights(tables[0], tables[1], tables[2], head)
