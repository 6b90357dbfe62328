"""What is to be compressed, and how far."""

from __future__ import annotations

from enum import Enum

import msgspec


class Method(Enum):
    """How a context is made shorter.

    ``EXTRACT`` keeps what the question needs, ``DEDUPE`` what was not said before, ``LLMLINGUA2`` the tokens that a model
    trained for it would miss.
    """

    EXTRACT = "extract"
    DEDUPE = "dedupe"
    LLMLINGUA2 = "llmlingua2"


class Terms(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What holds for a public model.

    ``llmlingua2_model``: who leaves words out, where that is the method. ``by_default``: for requests that do not ask for it, too. ``keep``: the share of a context's tokens that may stay. Contexts under ``min_tokens`` stay as they are. ``meaning``:
    documents are compared to the question by their vectors, too. ``user_context``: so is what a user's turn quotes before
    its question. What a request's contexts take together is at most
    ``patience_seconds``; those that are left then stay as they are.
    """

    method: Method = Method.EXTRACT
    llmlingua2_model: str = ""
    by_default: bool = True
    keep: float = 0.5
    min_tokens: int = 2000
    meaning: bool = False
    user_context: bool = False
    patience_seconds: float = 0.5
