"""Fields of a request that tell the provider of it and change nothing of the answer.

They travel apart from the rest (``GenerationInput.hints_json``): the cache does not
look at them, and an upstream that takes none is asked without, which the answer tells.
"""

from __future__ import annotations

HINTS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "user",
    }
)
