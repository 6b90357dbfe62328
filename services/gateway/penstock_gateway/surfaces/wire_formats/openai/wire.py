"""What the requests of OpenAI's formats have in common on the wire.

Field names and optionality are those of the vendor's API reference
(https://platform.openai.com/docs/api-reference), as read from the types of
openai-python 3.52. Nested objects refuse a field they do not know; a request
itself does not, because its unknown fields travel on verbatim. ``null`` means
unset everywhere.
"""

from __future__ import annotations

import msgspec

ABSENT = msgspec.Raw(b"null")


class WireObject(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """An object of a request that knows all its fields."""


class StreamOptions(WireObject):
    """What a stream carries besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
