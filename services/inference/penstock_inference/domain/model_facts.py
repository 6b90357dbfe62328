"""What is known of a model beyond its prices: what it takes, refuses, and is bound to.

Rules read these facts, and no rule reads a model's name. They come from the
datasheet and the configuration (``deploy/models``), and change without a restart.
"""

from __future__ import annotations

from enum import Enum

import msgspec

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class Tools(Enum):
    """Whether a model takes tools on OpenAI's chat completions."""

    YES = "yes"
    WITHOUT_EFFORT = "without_effort"
    """Only with ``reasoning_effort: none``."""
    NO = "no"
    """Only on the Responses API."""


class ThinkingBound(Enum):
    """What a model's signed thinking may not be parted from."""

    NOTHING = ""
    PREFIX = "prefix"
    """System, tools and every earlier turn must be as they were when it was made."""
    ACCOUNT = "account"
    """That, and the account that it was made for."""


class ModelFacts(msgspec.Struct, frozen=True, gc=False):
    """The facts of one model; the defaults are those of a model that nobody has described.

    sampling: the sampling parameters that it takes, of ``temperature``, ``top_p``, ``top_k``, ``seed``,
        ``frequency_penalty``, ``presence_penalty``, ``stop``; None for all of them.
    sampling_without_effort: it takes them only with effort ``none``.
    efforts: the reasoning efforts that it takes, from the least; empty for any.
    default_effort: the one that it has where none is asked for.
    thinking: the types of Anthropic's ``thinking`` that it takes, of ``adaptive``, ``enabled``, ``disabled``; None for all.
    thinking_bound: what its signed thinking may not be parted from.
    reads_thinking_of: names of other models whose thinking it reads, too.
    forced_tool_choice: it can be made to call a tool.
    parallel_tools: it can be told not to call several tools at once.
    tools_on_chat: whether chat completions take tools for it.
    is_known: somebody has described it.
    prefill: it goes on with an assistant's turn that ends the conversation; its capability of that name, and nothing beside.
    json_schema: it keeps to a JSON schema by itself; as above.
    documents, images_by_url: it reads documents; it fetches images.
    max_tokens_field: of chat completions: ``max_tokens`` or ``max_completion_tokens``; empty for its dialect's.
    max_output_tokens: the most that it writes; 0 where unknown.
    cache_breakpoints: it takes breakpoints for its prompt cache.
    denied_betas: values of ``anthropic-beta`` that it refuses.
    api_version: the version of its provider's interface that is asked for; empty for the provider's default.
    """

    sampling: frozenset[str] | None = None
    sampling_without_effort: bool = False
    efforts: tuple[str, ...] = ()
    default_effort: str = ""
    thinking: frozenset[str] | None = None
    thinking_bound: ThinkingBound = ThinkingBound.NOTHING
    reads_thinking_of: frozenset[str] = frozenset()
    forced_tool_choice: bool = True
    parallel_tools: bool = True
    tools_on_chat: Tools = Tools.YES
    is_known: bool = True
    prefill: bool = False
    json_schema: bool = True
    documents: bool = True
    images_by_url: bool = True
    max_tokens_field: str = ""
    max_output_tokens: int = 0
    cache_breakpoints: bool = True
    denied_betas: frozenset[str] = frozenset()
    api_version: str = ""

    def takes_sampling(self, name: str, effort: str) -> bool:
        """Return whether it takes a sampling parameter beside this reasoning effort (``''``: its default)."""
        if self.sampling is not None and name not in self.sampling:
            return False
        return not self.sampling_without_effort or (effort or self.default_effort) == "none"

    def nearest_effort(self, effort: str) -> str:
        """Return the effort that it takes in the place of one; of two as near, the greater."""
        taken = [known for known in self.efforts if known in _EFFORTS]
        if not taken or effort in self.efforts or effort not in _EFFORTS:
            return effort
        asked = _EFFORTS.index(effort)
        return min(taken, key=lambda known: (abs(_EFFORTS.index(known) - asked), -_EFFORTS.index(known)))


UNKNOWN_MODEL = ModelFacts(is_known=False)
