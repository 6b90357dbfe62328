"""``/v1/vector_stores``: documents, in the words of OpenAI's vector stores."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.format import StoresFormat
from penstock_gateway.surfaces.wire_formats.keeping import StoresAction, StoresSearch
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import attached, batches, search, stores
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import answering, in_openais_words

_STORES = "/v1/vector_stores"
_STORE = f"{_STORES}/{{store}}"
_FILE = f"{_STORE}/files/{{file}}"
_BATCH = f"{_STORE}/file_batches/{{batch}}"

FORMAT = StoresFormat(
    family=OPENAI,
    path=_STORES,
    search=StoresSearch(
        path=f"{_STORE}/search", parse=search.parse_search, requests=search.requests_of, render=search.render_found
    ),
    in_its_words=in_openais_words,
    actions={
        f"POST {_STORES}": StoresAction(answering(stores.create), stores.parse_creation),
        f"GET {_STORES}": StoresAction(answering(stores.list_all)),
        f"GET {_STORE}": StoresAction(answering(stores.get)),
        f"POST {_STORE}": StoresAction(answering(stores.change), stores.parse_change),
        f"DELETE {_STORE}": StoresAction(answering(stores.delete)),
        f"POST {_STORE}/files": StoresAction(answering(attached.attach), attached.parse_attachment),
        f"GET {_STORE}/files": StoresAction(answering(attached.list_all)),
        f"GET {_FILE}": StoresAction(answering(attached.get)),
        f"POST {_FILE}": StoresAction(answering(attached.change), attached.parse_change),
        f"DELETE {_FILE}": StoresAction(answering(attached.remove)),
        f"GET {_FILE}/content": StoresAction(answering(attached.content)),
        f"POST {_STORE}/file_batches": StoresAction(answering(batches.create), batches.parse_creation),
        f"GET {_BATCH}": StoresAction(answering(batches.get)),
        f"POST {_BATCH}/cancel": StoresAction(answering(batches.cancel)),
        f"GET {_BATCH}/files": StoresAction(answering(batches.list_files)),
    },
)
