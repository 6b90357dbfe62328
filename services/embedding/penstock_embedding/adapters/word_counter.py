"""A model's tokenizer as what texts are measured with: each word is tokenized once, however often it stands in texts.

A tokenizer of the BERT kind takes texts apart at blanks and signs before it
looks at anything else, so a text has the tokens of its words. Finding words by
whole arrays, and their costs by hashes, is many times as fast as tokenizing
the text; numbers, which hardly come twice, are reckoned together, and other new
words of ASCII by themselves. Of other tokenizers this gives a guess, and every
word is said to be doubtful.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock_embedding.adapters.tokenization import read_tokenizer
from penstock_embedding.adapters.word_pieces import WordPieces
from penstock_embedding.domain.chunking.piece import Measured

# Of a word; a longer one is several. BERT's tokenizer makes one token of what is longer than this.
_LONGEST_WORD = 100
_DIGITS = 10
_LONG_NUMBER = 5
# Characters that are looked at together: their arrays stay in the processor's caches.
_BLOCK = 1 << 16
_SLOT_BITS = 19
# Below, tokenizing is as fast.
_FEW_CHARACTERS = 500
_BLANK, _LETTER, _SIGN = 0, 1, 2
_SIGNS = (
    *((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0x2010, 0x2027), (0x3001, 0x3003)),
    *((0xFF01, 0xFF01), (0xFF0C, 0xFF0C), (0xFF1A, 0xFF1B), (0xFF1F, 0xFF1F)),
)
_IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))

Numbers = npt.NDArray[Any]


class _Words(NamedTuple):
    """Of one block: where words begin, and where what is not blank of them ends."""

    starts: Numbers
    ends: Numbers


class WordCounter:
    """A ``TokenCounter`` of a tokenizers file; ``prefix`` stands before every passage.

    Raises:
        ConfigurationError: if the file holds no tokenizer.
    """

    def __init__(self, tokenizer: Path, window_tokens: int, prefix: str = "") -> None:
        self._tokenizer = read_tokenizer(tokenizer)
        self._window_tokens = window_tokens
        self._prefix = prefix
        pieces = _word_pieces(self._tokenizer)
        self._by_words = pieces is not None
        self._kinds = _kinds_of_characters(signs_apart=self._by_words)
        self._costs = _Costs(self._tokenizer, pieces)
        self._lock = threading.Lock()
        self._with_each = len(self._tokenizer.encode(prefix).ids)
        self._adds_up = self._by_words and (not prefix or self._kinds[min(ord(prefix[-1]), 0xFFFF)] != _LETTER)

    @property
    def window_tokens(self) -> int:
        """The model's window."""
        return self._window_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, as ``TokenCounter`` says."""
        counts = [self._added_up(text) for text in texts]
        unknown = [index for index, count in enumerate(counts) if not count]
        if len(unknown) == 1:
            # A batch would go to the tokenizer's threads.
            encodings = [self._tokenizer.encode(self._prefix + texts[unknown[0]])]
        else:
            encodings = self._tokenizer.encode_batch_fast([self._prefix + texts[index] for index in unknown])
        for index, encoding in zip(unknown, encodings, strict=True):
            counts[index] = len(encoding.ids)
        return counts

    def measure(self, text: str) -> Measured:
        """Return the words of a text, as ``TokenCounter`` says."""
        starts, sums, doubtful = array("I"), array("I"), array("I")
        total = 0
        for place, block in _blocks(text):
            codes = np.frombuffer(block.encode("utf-32-le", "surrogatepass"), np.uint32)
            words = _words_of(self._kinds[np.minimum(codes, 0xFFFF)])
            with self._lock:
                costs = self._costs.of(block, codes, words)
            after = np.cumsum(costs) + total
            _extend(starts, words.starts + place)
            _extend(sums, after - costs)
            total = int(after[-1]) if len(after) else total
            _extend(doubtful, self._doubtful(words, len(block)) + place)
        starts.append(len(text))
        sums.append(total)
        return Measured(starts, sums, doubtful)

    def _added_up(self, text: str) -> int:
        """Return the tokens of a text by those of its words; 0 where they do not say."""
        if not self._adds_up or len(text) < _FEW_CHARACTERS:
            return 0
        measured = self.measure(text)
        return 0 if measured.doubtful else self._with_each + measured.sums[-1]

    def _doubtful(self, words: _Words, size: int) -> Numbers:
        if not self._adds_up:
            return words.starts
        # A part of a longer word, or one that the end of a block may have cut.
        unsure = (words.ends - words.starts >= _LONGEST_WORD) | (words.ends == size) & (size >= _BLOCK)
        return words.starts[unsure]


class _Costs:
    """Tokens of words by their hashes, in a table with one place for each: who comes last has it."""

    def __init__(self, tokenizer: Any, pieces: WordPieces | None) -> None:
        self._tokenizer = tokenizer
        self._pieces = pieces
        # Unknown to who writes the texts, so that nobody can make words of one hash.
        chance = np.random.default_rng()
        factor = int(chance.integers(1 << 62)) * 2 + 1
        self._powers = _powers_of(factor)
        self._inverse_powers = _powers_of(pow(factor, -1, 1 << 64))
        self._spread = np.uint64(int(chance.integers(1 << 62)) * 2 + 1)
        self._hashes = np.zeros(1 << _SLOT_BITS, np.uint64)
        self._known = np.zeros(1 << _SLOT_BITS, np.uint16)

    def of(self, block: str, codes: Numbers, words: _Words) -> Numbers:
        """Return the tokens of each word, int64."""
        hashes = self._hashes_of(codes, words)
        slots = (hashes >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
        costs = self._known[slots].astype(np.int64)
        unknown = np.flatnonzero(self._hashes[slots] != hashes)
        if len(unknown) and self._pieces is not None and self._pieces.knows_numbers:
            are_numbers = _are_long_numbers(codes, words.starts[unknown], words.ends[unknown])
            numbers, unknown = unknown[are_numbers], unknown[~are_numbers]
            costs[numbers] = self._pieces.of_numbers(codes, words.starts[numbers], words.ends[numbers])
        if len(unknown):
            _, first, each = np.unique(hashes[unknown], return_index=True, return_inverse=True)
            chosen = unknown[first]
            found = self._tokenized([block[words.starts[word] : words.ends[word]] for word in chosen])
            costs[unknown] = found[each]
            self._hashes[slots[chosen]] = hashes[chosen]
            self._known[slots[chosen]] = found
        return costs

    def _hashes_of(self, codes: Numbers, words: _Words) -> Numbers:
        """Return the words' polynomials of the characters' codes, spread over 64 bits; never 0."""
        sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum((codes + np.uint64(1)) * self._powers[: len(codes)], out=sums[1:])
        polynomials = (sums[words.ends] - sums[words.starts]) * self._inverse_powers[words.starts]
        return (polynomials ^ (polynomials >> np.uint64(29))) * self._spread | np.uint64(1)

    def _tokenized(self, words: list[str]) -> Numbers:
        counts = np.zeros(len(words), np.int64)
        others: list[int] = []
        for index, word in enumerate(words):
            if self._pieces is not None and word.isascii() and word.isalnum():
                counts[index] = self._pieces.of(word)
            else:
                others.append(index)
        if others:
            # One call is faster than a batch, and goes to no threads.
            encoding = self._tokenizer.encode(
                [words[index] for index in others], is_pretokenized=True, add_special_tokens=False
            )
            counts[others] = np.bincount(np.array(encoding.word_ids, np.int64), minlength=len(others))
        return counts


def _are_long_numbers(codes: Numbers, starts: Numbers, ends: Numbers) -> Numbers:
    """Return which words have nothing but ASCII digits, and so many that they hardly come twice."""
    # What is below wraps around and is no digit either.
    zero = np.uint32(ord("0"))
    found = (ends - starts >= _LONG_NUMBER) & (codes[starts] - zero < _DIGITS)
    if found.any():
        digits = np.zeros(len(codes) + 1, np.uint32)
        np.cumsum(codes - zero < _DIGITS, out=digits[1:])
        found &= digits[ends] - digits[starts] == ends - starts
    return found


def _word_pieces(tokenizer: Any) -> WordPieces | None:
    """Return the pieces of words; None unless a text has the tokens of its words: unless it is a tokenizer of the BERT kind."""
    content = json.loads(tokenizer.to_str())
    model, normalizer, splitting = (content.get(part) or {} for part in ("model", "normalizer", "pre_tokenizer"))
    takes_words_apart = (
        splitting.get("type") == "BertPreTokenizer"
        and normalizer.get("type") == "BertNormalizer"
        and bool(normalizer.get("handle_chinese_chars"))
        and model.get("type", "WordPiece") == "WordPiece"
        and model.get("max_input_chars_per_word") == _LONGEST_WORD
    )
    if not takes_words_apart:
        return None
    return WordPieces(
        model["vocab"], model.get("continuing_subword_prefix", "##"), lowercase=bool(normalizer.get("lowercase"))
    )


def _kinds_of_characters(*, signs_apart: bool) -> Numbers:
    """Return what each character of the basic plane is, by its code; the last one stands for all above."""
    kinds = np.full(0x10000, _LETTER, np.uint8)
    kinds[[ord(blank) for blank in " \t\r\n"]] = _BLANK
    for first, last in (*_SIGNS, *_IDEOGRAPHS) if signs_apart else ():
        kinds[first : last + 1] = _SIGN
    return kinds


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield parts of the text with their places, cut after blanks where there are any."""
    place = 0
    while len(text) - place > _BLOCK:
        cut = max(text.rfind(blank, place + _BLOCK // 2, place + _BLOCK) for blank in " \n") + 1
        end = cut or place + _BLOCK
        yield place, text[place:end]
        place = end
    yield place, text[place:]


def _words_of(kinds: Numbers) -> _Words:
    letters = kinds == _LETTER
    inner = np.zeros(len(kinds) + 1, np.bool_)
    np.logical_and(letters[1:], letters[:-1], out=inner[1:-1])
    shown = kinds != _BLANK
    starts = np.flatnonzero(shown & ~inner[:-1])
    ends = np.flatnonzero(shown & ~inner[1:]) + 1
    parts = (ends - starts + _LONGEST_WORD - 1) // _LONGEST_WORD
    if len(parts) and parts.max() > 1:
        before = np.repeat(np.cumsum(parts) - parts, parts)
        starts = np.repeat(starts, parts) + (np.arange(len(before)) - before) * _LONGEST_WORD
        ends = np.minimum(starts + _LONGEST_WORD, np.repeat(ends, parts))
    return _Words(starts, ends)


def _powers_of(factor: int) -> Numbers:
    powers = np.full(_BLOCK + 1, factor, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _extend(numbers: array[int], more: Numbers) -> None:
    numbers.frombytes(more.astype(np.uint32).tobytes())
