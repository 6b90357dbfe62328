"""FileService: ask the domain."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from penstock_common.contract.wire import files as wire
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_embedding.domain.knowledge.files import Files


def files_handlers(files: Files) -> Sequence[Handler]:
    """Return what serves each method."""
    return (
        wire.PUT_FILE.served_by(_of_a_call(files.put_file)),
        wire.GET_FILE.served_by(_of_a_call(files.get_file)),
        wire.GET_FILE_CONTENT.served_by(_of_a_call(files.get_file_content)),
        wire.LIST_FILES.served_by(_of_a_call(files.list_files)),
        wire.DELETE_FILE.served_by(_of_a_call(files.delete_file)),
        wire.ATTACH_FILES.served_by(_of_a_call(files.attach_files)),
        wire.GET_BATCH.served_by(_of_a_call(files.get_batch)),
        wire.CANCEL_BATCH.served_by(_of_a_call(files.cancel_batch)),
        wire.LIST_BATCH_DOCUMENTS.served_by(_of_a_call(files.list_batch_documents)),
    )


def _of_a_call(behaviour: Callable[[Any], Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def serve(request: Any, _: ServerCall) -> Any:
        return await behaviour(request)

    return serve
