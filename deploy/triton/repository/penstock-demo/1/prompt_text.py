"""How the model reads what people write: in lower case, words apart by one space.

A small model learns much more from the same text when "GPU", "Gpu" and "gpu" are one word. Training uses this module
too. Answers keep their case: they are what the model says.
"""

import re

_READ_TURN = re.compile(r"(<\|(?:system|user)\|>)(.*?)(?=<\|(?:end|system|user|assistant)\|>|\Z)", re.DOTALL)


def as_read(text: str) -> str:
    """One turn's text; it begins with a space, so that its first word is the same token as elsewhere."""
    return "".join(f" {word}" for word in text.lower().split())


def normalise_prompt(prompt: str) -> str:
    """A finished prompt with its system and user turns as the model reads them."""
    return _READ_TURN.sub(lambda match: match[1] + as_read(match[2]), prompt)
