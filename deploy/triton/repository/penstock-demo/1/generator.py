"""Generation for many callers at once: one thread, continuous batching.

Sequences join and leave the batch at every token (iteration-level scheduling,
https://www.usenix.org/conference/osdi22/presentation/yu). Each step gives every running answer its next token, and
reads a bounded piece of the prompts that wait, oldest first, beside it (chunked prefill,
https://arxiv.org/abs/2403.02310): a long prompt holds nobody up. Who finds no slot waits in a queue, in order of
arrival; who finds the queue full is refused.
"""

import heapq
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence as Items
from pathlib import Path

from limits import Limits
from prefix_cache import PrefixCache
from prompt_text import normalise_prompt
from sampling import InvalidRequestError, Sampler, SamplingParameters, choose_all
from sequence import WAITING, Caller, Sequence
from text_stream import TextStream
from tokenizers import Tokenizer
from transformer import Step, Transformer

END_MARKER = "<|end|>"
ROLE_MARKERS = ("<|system|>", "<|user|>", "<|assistant|>")

logger = logging.getLogger(__name__)


class QueueFullError(RuntimeError):
    """No slot, and no place in the queue."""


def _count_nothing(prompt_tokens: int, reused_tokens: int) -> None:
    """Stand in where nobody counts."""


class Generator:
    """Owns the network, the tokenizer and the generation thread.

    `count` hears of every prompt that is begun: its tokens, and how many of them the prefix cache held.
    """

    def __init__(
        self, folder: Path, limits: Limits | None = None, count: Callable[[int, int], None] = _count_nothing
    ) -> None:
        self._limits = limits or Limits()
        self._count = count
        self._transformer = Transformer(folder / "weights.safetensors", self._limits.active_sequences)
        self._prefixes = PrefixCache(self._transformer.cache, self._limits.prefix_cache_bytes)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._end = self._token_id(END_MARKER)
        self._roles = tuple(self._token_id(token) for token in ROLE_MARKERS)
        self._arrivals: queue.SimpleQueue[Sequence | None] = queue.SimpleQueue()
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []  # oldest first
        # The lowest slot is taken first: what is used lies together.
        self._free_slots = list(range(self._limits.active_sequences))
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self._thread.start()

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt; raises InvalidRequestError if it is empty or longer than the context."""
        ids = self._tokenizer.encode(normalise_prompt(prompt), add_special_tokens=False).ids
        maximum = self._transformer.context_tokens
        if not ids:
            raise InvalidRequestError("text_input is empty")
        if len(ids) > maximum:
            raise InvalidRequestError(f"context length exceeded: {len(ids)} input tokens, maximum {maximum}")
        return ids

    def submit(self, ids: list[int], parameters: SamplingParameters, caller: Caller) -> None:
        """Queue a prompt; everything else goes through the caller. Raises QueueFullError."""
        room = self._transformer.context_tokens - len(ids)
        if room == 0:
            caller.deliver("", 0, "length")
            return
        if self._queued() >= self._limits.queued_requests + len(self._free_slots):
            raise QueueFullError(f"the request queue is full: {self._limits.queued_requests} requests wait")
        banned = (*self._roles, self._end) if parameters.ignore_eos else self._roles
        self._arrivals.put(
            Sequence(
                caller=caller,
                ids=ids,
                token_limit=min(room, parameters.max_tokens or room),
                sampler=Sampler(parameters, banned),
                text=TextStream(self._tokenizer.decode, parameters.stop),
            )
        )

    def close(self) -> None:
        """Finish what was submitted, then stop the thread."""
        self._arrivals.put(None)
        self._thread.join()

    def _queued(self) -> int:
        return self._arrivals.qsize() + len(self._waiting)

    def _token_id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no {token}")
        return found

    def _run(self) -> None:
        while self._receive():
            self._dismiss_cancelled()
            self._admit()
            if not self._running:
                continue
            chosen, steps = self._next_steps()
            try:
                self._step(chosen, steps)
            except Exception:
                logger.exception("a generation step failed")
                for sequence in chosen:
                    self._leave(sequence, keep=False)
                    sequence.caller.fail("internal error in the model")

    def _receive(self) -> bool:
        """Take in arrivals, waiting for one if there is nothing else to do; false when all is done and closing."""
        while True:
            idle = not (self._waiting or self._running)
            if idle and self._closing:
                return False
            try:
                arrival = self._arrivals.get(block=idle)
            except queue.Empty:
                return True
            if arrival is None:
                self._closing = True
            else:
                self._waiting.append(arrival)

    def _dismiss_cancelled(self) -> None:
        for sequence in [sequence for sequence in self._running if sequence.caller.is_cancelled()]:
            self._leave(sequence)
            sequence.caller.release()
        gone = [sequence for sequence in self._waiting if sequence.caller.is_cancelled()]
        for sequence in gone:
            self._waiting.remove(sequence)
            sequence.caller.release()

    def _admit(self) -> None:
        while self._waiting and self._free_slots:
            sequence = self._waiting.popleft()
            sequence.slot = heapq.heappop(self._free_slots)
            sequence.held_tokens = self._prefixes.restore(sequence.ids, sequence.slot)
            self._running.append(sequence)
            sequence.caller.begin(sequence.held_tokens)
            self._count(sequence.prompt_tokens, sequence.held_tokens)

    def _next_steps(self) -> tuple[list[Sequence], list[Step]]:
        """A token for each answer, and of the prompts as much as a step may read."""
        chosen: list[Sequence] = []
        steps: list[Step] = []
        budget = self._limits.prefill_tokens_per_step
        for sequence in self._running:
            if sequence.is_answering:
                step = sequence.step(1)
            elif budget:
                step = sequence.step(min(budget, sequence.prompt_tokens - sequence.held_tokens))
                budget -= len(step.ids)
            else:
                continue
            chosen.append(sequence)
            steps.append(step)
        return chosen, steps

    def _step(self, chosen: list[Sequence], steps: Items[Step]) -> None:
        """One pass; a token for each sequence whose prompt has been read."""
        logits = self._transformer.forward(steps)
        rows: list[int] = []
        for row, (sequence, step) in enumerate(zip(chosen, steps, strict=True)):
            was_answering = sequence.is_answering
            sequence.held_tokens += len(step.ids)
            if sequence.is_answering:
                rows.append(row)
                if not was_answering:
                    self._prefixes.store(sequence.held_ids, sequence.slot)
        answering = [chosen[row] for row in rows]
        tokens = choose_all([sequence.sampler for sequence in answering], logits[rows])
        for sequence, token in zip(answering, tokens, strict=True):
            if not sequence.accept(token, self._end):
                self._leave(sequence)

    def _leave(self, sequence: Sequence, *, keep: bool = True) -> None:
        """Give the slot back; what it holds is kept for whoever asks on."""
        if sequence.slot == WAITING:
            return
        if keep:
            self._prefixes.store(sequence.held_ids, sequence.slot)
        self._running.remove(sequence)
        heapq.heappush(self._free_slots, sequence.slot)
        sequence.slot = WAITING
