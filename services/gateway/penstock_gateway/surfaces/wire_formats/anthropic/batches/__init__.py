"""``/v1/messages/batches``: requests that are answered later, in the words of Anthropic's Message Batches."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.anthropic.batches.actions import (
    cancel,
    create,
    delete,
    get,
    list_all,
    results,
)
from penstock_gateway.surfaces.wire_formats.anthropic.batches.wire import PATH
from penstock_gateway.surfaces.wire_formats.anthropic.errors import ANTHROPIC
from penstock_gateway.surfaces.wire_formats.format import KeptFormat
from penstock_gateway.surfaces.wire_formats.keeping import KeptAction

FORMAT = KeptFormat(
    family=ANTHROPIC,
    path=PATH,
    actions={
        f"POST {PATH}": KeptAction(create, takes_stream=True),
        f"GET {PATH}": KeptAction(list_all),
        f"GET {PATH}/{{batch}}": KeptAction(get),
        f"DELETE {PATH}/{{batch}}": KeptAction(delete),
        f"POST {PATH}/{{batch}}/cancel": KeptAction(cancel),
        f"GET {PATH}/{{batch}}/results": KeptAction(results),
    },
)
