"""Keys and values of prompts seen before, in blocks that conversations with a common beginning share.

A block is found by its tokens and the block before it, so a chain of blocks is a path in a tree of prefixes
(https://arxiv.org/abs/2312.07104, as vLLM's automatic prefix caching keeps it). Bounded; the least recently used leaf
goes first.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformer import Array, SlotCache

BLOCK_TOKENS = 8

_Key = tuple[int, tuple[int, ...]]  # the serial number of the block before, and the tokens


@dataclass(frozen=True)
class _Block:
    serial: int
    keys: Array  # [layers, heads, BLOCK_TOKENS, head width]
    values: Array


class PrefixCache:
    """Copies blocks out of slots and into them; for one thread. Without room for a block it stays empty."""

    def __init__(self, slots: SlotCache, most_bytes: int) -> None:
        layers, _, heads, _, head_width = slots.keys.shape
        block_bytes = 2 * layers * heads * BLOCK_TOKENS * head_width * slots.keys.itemsize
        self._slots = slots
        self._most_blocks = most_bytes // block_bytes
        self._blocks: OrderedDict[_Key, _Block] = OrderedDict()
        self._next_serial = 1

    def __len__(self) -> int:
        """How many blocks are kept."""
        return len(self._blocks)

    def restore(self, ids: Sequence[int], slot: int) -> int:
        """Fill the slot with the longest known beginning of ids, and return how many tokens that is.

        At least one token is left to compute: its logits are what the answer begins with.
        """
        chain: list[_Key] = []
        before = 0
        for start, tokens in _full_blocks(ids[:-1]):
            block = self._blocks.get((before, tokens))
            if block is None:
                break
            self._slots.keys[:, slot, :, start : start + BLOCK_TOKENS] = block.keys
            self._slots.values[:, slot, :, start : start + BLOCK_TOKENS] = block.values
            chain.append((before, tokens))
            before = block.serial
        self._touch(chain)
        return len(chain) * BLOCK_TOKENS

    def store(self, ids: Sequence[int], slot: int) -> None:
        """Keep the slot's full blocks of ids, whose keys and values it holds."""
        chain: list[_Key] = []
        before = 0
        for start, tokens in _full_blocks(ids):
            if len(chain) == self._most_blocks:
                break
            key = (before, tokens)
            block = self._blocks.get(key)
            if block is None:
                block = self._blocks[key] = self._copied(slot, start)
            chain.append(key)
            before = block.serial
        self._touch(chain)
        while len(self._blocks) > self._most_blocks:
            self._blocks.popitem(last=False)

    def _copied(self, slot: int, start: int) -> _Block:
        serial = self._next_serial
        self._next_serial += 1
        tokens = slice(start, start + BLOCK_TOKENS)
        return _Block(
            serial, self._slots.keys[:, slot, :, tokens].copy(), self._slots.values[:, slot, :, tokens].copy()
        )

    def _touch(self, chain: list[_Key]) -> None:
        # From the leaf to the root: no block is ever older than one that can only be found through it.
        for key in reversed(chain):
            self._blocks.move_to_end(key)


def _full_blocks(ids: Sequence[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    for start in range(0, len(ids) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        yield start, tuple(ids[start : start + BLOCK_TOKENS])
