"""FileService: ask the domain, once it is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from penstock_common.contract.wire import files as wire
from penstock_common.rpc.method import Handler, UnaryMethod
from penstock_common.rpc.server_call import ServerCall

if TYPE_CHECKING:
    # What nobody uses is not loaded.
    from penstock_embedding.domain.knowledge.files import Files

Open = Callable[[], Awaitable["Files"]]
"""Returns what keeps files, opened by the first who asks; raises what keeps it from opening."""

_METHODS: tuple[tuple[UnaryMethod[Any, Any], str], ...] = (
    (wire.PUT_FILE, "put_file"),
    (wire.GET_FILE, "get_file"),
    (wire.GET_FILE_CONTENT, "get_file_content"),
    (wire.LIST_FILES, "list_files"),
    (wire.DELETE_FILE, "delete_file"),
    (wire.ATTACH_FILES, "attach_files"),
    (wire.GET_BATCH, "get_batch"),
    (wire.CANCEL_BATCH, "cancel_batch"),
    (wire.LIST_BATCH_DOCUMENTS, "list_batch_documents"),
)


def files_handlers(opened: Open) -> Sequence[Handler]:
    """Return what serves each method."""
    return [method.served_by(_serving(opened, name)) for method, name in _METHODS]


def _serving(opened: Open, name: str) -> Callable[[Any, ServerCall], Coroutine[Any, Any, Any]]:
    async def serve(request: Any, _: ServerCall) -> Any:
        return await getattr(await opened(), name)(request)

    return serve
