"""``/v1/files``: what vector stores are made of, and what batches read and write."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.format import KeptFormat
from penstock_gateway.surfaces.wire_formats.keeping import KeptAction
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.openai.files.actions import content, delete, get, list_all
from penstock_gateway.surfaces.wire_formats.openai.files.upload import upload

_FILES = "/v1/files"

FORMAT = KeptFormat(
    family=OPENAI,
    path=_FILES,
    actions={
        f"POST {_FILES}": KeptAction(upload, takes_form=True),
        f"GET {_FILES}": KeptAction(list_all),
        f"GET {_FILES}/{{file}}": KeptAction(get),
        f"DELETE {_FILES}/{{file}}": KeptAction(delete),
        f"GET {_FILES}/{{file}}/content": KeptAction(content),
    },
)
