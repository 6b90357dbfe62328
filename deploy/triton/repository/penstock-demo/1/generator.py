"""Generation for many callers at once: one thread, continuous batching.

Sequences join and leave the batch at every token (iteration-level scheduling,
https://www.usenix.org/conference/osdi22/presentation/yu). New prompts go first, so that a burst of callers all see
their first token early; the rest take turns.
"""

import logging
import queue
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prompt_text import normalise_prompt
from sampling import InvalidRequestError, Sampler, SamplingParameters
from text_stream import TextStream
from tokenizers import Tokenizer
from transformer import Cache, Step, Transformer

BATCH_SEQUENCES = 16
NEW_SEQUENCES = 8  # of a batch at most, while others are running
BATCH_PROMPT_TOKENS = 512  # of all new sequences in a batch; a single longer prompt goes alone
ACTIVE_SEQUENCES = 256  # with a KV cache, about 1 MiB each for a short answer, 4 MiB at the full context

END_MARKER = "<|end|>"
ROLE_MARKERS = ("<|system|>", "<|user|>", "<|assistant|>")

logger = logging.getLogger(__name__)


class Caller(Protocol):
    """Who asked. Called from the generation thread only."""

    def is_cancelled(self) -> bool:
        """Whether nobody waits for the rest."""
        ...

    def deliver(self, text: str, output_tokens: int, finish_reason: str) -> None:
        """Text and tokens since the last call; the finish reason is empty until the last one."""
        ...

    def fail(self, message: str) -> None:
        """The request ended with an error."""
        ...

    def release(self) -> None:
        """The request ended because nobody waits for it."""
        ...


@dataclass(eq=False)
class Sequence:
    """One answer in the making."""

    caller: Caller
    new_ids: list[int]  # what the network has not seen yet
    token_limit: int  # of the answer
    sampler: Sampler
    text: TextStream
    cache: Cache | None = None
    output_tokens: int = 0
    unreported_tokens: int = 0

    def accept(self, token: int, end_token: int) -> bool:
        """Take the next token and tell the caller; false when the answer is complete."""
        self.output_tokens += 1
        self.unreported_tokens += 1
        self.new_ids = [token]
        text = "" if token == end_token else self.text.push(token)
        if token == end_token or self.text.stopped:
            return self._finish(text, "stop")
        if self.output_tokens >= self.token_limit:
            return self._finish(text, "length")
        if text:
            self._report(text, "")
        return True

    def abandon(self) -> bool:
        """True, and the request is released, if nobody waits for it."""
        cancelled = self.caller.is_cancelled()
        if cancelled:
            self.caller.release()
        return cancelled

    def _finish(self, text: str, reason: str) -> bool:
        text += self.text.flush()
        self._report(text, "stop" if self.text.stopped else reason)
        return False

    def _report(self, text: str, reason: str) -> None:
        tokens, self.unreported_tokens = self.unreported_tokens, 0
        self.caller.deliver(text, tokens, reason)


class Generator:
    """Owns the network, the tokenizer and the generation thread."""

    def __init__(self, folder: Path) -> None:
        self._transformer = Transformer(folder / "weights.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._end = self._token_id(END_MARKER)
        self._roles = tuple(self._token_id(token) for token in ROLE_MARKERS)
        self._arrivals: queue.SimpleQueue[Sequence | None] = queue.SimpleQueue()
        self._waiting: deque[Sequence] = deque()
        self._running: deque[Sequence] = deque()
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
        """Queue a prompt; everything else goes through the caller."""
        room = self._transformer.context_tokens - len(ids)
        if room == 0:
            caller.deliver("", 0, "length")
            return
        banned = (*self._roles, self._end) if parameters.ignore_eos else self._roles
        self._arrivals.put(
            Sequence(
                caller=caller,
                new_ids=ids,
                token_limit=min(room, parameters.max_tokens or room),
                sampler=Sampler(parameters, banned),
                text=TextStream(self._tokenizer.decode, parameters.stop),
            )
        )

    def close(self) -> None:
        """Finish what was submitted, then stop the thread."""
        self._arrivals.put(None)
        self._thread.join()

    def _token_id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no {token}")
        return found

    def _run(self) -> None:
        while self._receive():
            batch = self._next_batch()
            try:
                self._step(batch)
            except Exception:
                logger.exception("a generation step failed")
                self._running = deque(other for other in self._running if other not in batch)
                for sequence in batch:
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

    def _next_batch(self) -> list[Sequence]:
        """New sequences first, up to the limits, then those whose turn it is."""
        batch: list[Sequence] = []
        room = NEW_SEQUENCES if self._running else BATCH_SEQUENCES
        prompt_tokens = 0
        while self._waiting and len(batch) < room and len(self._running) + len(batch) < ACTIVE_SEQUENCES:
            prompt_tokens += len(self._waiting[0].new_ids)
            if batch and prompt_tokens > BATCH_PROMPT_TOKENS:
                break
            batch.append(self._waiting.popleft())
        while self._running and len(batch) < BATCH_SEQUENCES:
            batch.append(self._running.popleft())
        return batch

    def _step(self, batch: list[Sequence]) -> None:
        """One token for each sequence that is still wanted."""
        wanted = [sequence for sequence in batch if not sequence.abandon()]
        if not wanted:
            return
        steps: list[Step] = []
        for sequence in wanted:
            sequence.cache = sequence.cache or self._transformer.new_cache()
            steps.append(Step(sequence.cache, sequence.new_ids))
        logits = self._transformer.forward(steps)
        for sequence, row in zip(wanted, logits, strict=True):
            if sequence.accept(sequence.sampler.choose(row), self._end):
                self._running.append(sequence)
