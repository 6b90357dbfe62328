"""Healthy files with a few bytes changed, the same ones for the same seed."""

import random
from collections.abc import Iterator

TOKENS = (
    b"\0",
    b"<",
    b">",
    b'"',
    b"[",
    b"{",
    b"\n\n",
    b"\xff",
    b"\xed\xa0\x80",
    b"9999999999",
    b"-1",
    b"/Kids",
    b"R ",
    b"%",
)


def mutations(content: bytes, seed: int, count: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(count):
        mutated = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            _mutate(mutated, chance)
        yield bytes(mutated)


def _mutate(content: bytearray, chance: random.Random) -> None:
    at, size = chance.randrange(len(content) + 1), chance.choice((1, 2, 8, 64))
    match chance.randrange(6):
        case 0:
            content[at : at + size] = chance.randbytes(size)
        case 1:
            del content[at : at + size]
        case 2:
            content[at:at] = content[at : at + size] * chance.choice((1, 50))
        case 3:
            content[at:at] = chance.choice(TOKENS) * chance.choice((1, 300))
        case 4:
            del content[at:]
        case _ if at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        case _:
            pass
    if not content:
        content += b"x"
