"""``/v1/batches``: files of requests, answered by files, in the words of OpenAI's batches."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.format import KeptFormat
from penstock_gateway.surfaces.wire_formats.keeping import KeptAction
from penstock_gateway.surfaces.wire_formats.openai.batches.actions import cancel, create, get, list_all, parse_creation
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI

_BATCHES = "/v1/batches"

FORMAT = KeptFormat(
    family=OPENAI,
    path=_BATCHES,
    actions={
        f"POST {_BATCHES}": KeptAction(create, parse=parse_creation),
        f"GET {_BATCHES}": KeptAction(list_all),
        f"GET {_BATCHES}/{{batch}}": KeptAction(get),
        f"POST {_BATCHES}/{{batch}}/cancel": KeptAction(cancel),
    },
)
