"""What came of jobs, as the contract's messages: as the answer to the request would be."""

from __future__ import annotations

from penstock.gateway.v1 import job_service_pb2 as pb
from penstock_common.contract.knowledge_calls import PutDocumentResponse
from penstock_common.errors import ResourceState
from penstock_common.llm.types import Usage
from penstock_common.rpc.fields import write
from penstock_gateway.domain.jobs.job import Job
from penstock_gateway.domain.jobs.orders import UnknownForm
from penstock_gateway.domain.jobs.results import ChatResult, EmbeddingResult, IngestResult, result_of
from penstock_gateway.domain.life.progress import Bill
from penstock_gateway.surfaces.grpc.chat_messages import ChatTold
from penstock_gateway.surfaces.grpc.chat_messages import told_message_of as chat_message
from penstock_gateway.surfaces.grpc.embedding_messages import EmbedTold
from penstock_gateway.surfaces.grpc.embedding_messages import told_message_of as embedding_message
from penstock_gateway.surfaces.grpc.job_messages import job_message


def result_message(job: Job, content: bytes) -> pb.GetJobResultResponse:
    """Return what came of a job.

    Raises:
        ResourceState: if a later version of Penstock wrote it.
    """
    try:
        result = result_of(job.kind, content)
    except UnknownForm:
        text = "A later version of Penstock wrote the job's result: ask a gateway of that version."
        raise ResourceState(text, kind="job result", name=job.id) from None
    message = pb.GetJobResultResponse(job=job_message(job))
    match result:
        case ChatResult():
            message.chat.CopyFrom(chat_message(ChatTold(result.answer, result.cache, result.knowledge)))
        case EmbeddingResult():
            bill = Bill(Usage(input_tokens=result.input_tokens), result.unit_prices, result.cost_nano_usd)
            message.embedding.CopyFrom(embedding_message(EmbedTold(job.id, result.embedded, bill)))
        case IngestResult():
            write(PutDocumentResponse(result.document, result.unchanged), message.ingest)
        case _:
            # A batch tells itself what came of it.
            pass
    return message
