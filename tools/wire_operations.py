"""The routes of the wire formats, as the OpenAPI document tells them: from the types that read requests and write answers."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from penstock_gateway.surfaces.wire_formats.anthropic.batches import wire as message_batches
from penstock_gateway.surfaces.wire_formats.anthropic.messages.request_wire import MessagesRequest
from penstock_gateway.surfaces.wire_formats.anthropic.messages.response_wire import CountedTokens, Message
from penstock_gateway.surfaces.wire_formats.cohere.rerank.wire import Ranking, RerankRequest
from penstock_gateway.surfaces.wire_formats.openai.batches import wire as batches
from penstock_gateway.surfaces.wire_formats.openai.chat.request_wire import ChatCompletionRequest
from penstock_gateway.surfaces.wire_formats.openai.chat.response_wire import ChatCompletion
from penstock_gateway.surfaces.wire_formats.openai.completions.wire import CompletionRequest, TextCompletion
from penstock_gateway.surfaces.wire_formats.openai.embeddings.wire import EmbeddingList, EmbeddingsRequest
from penstock_gateway.surfaces.wire_formats.openai.models.render import Model, ModelList
from penstock_gateway.surfaces.wire_formats.openai.moderations.wire import Moderation, ModerationRequest
from penstock_gateway.surfaces.wire_formats.openai.organization.wire import UsagePage
from penstock_gateway.surfaces.wire_formats.openai.responses import response_wire as responses
from penstock_gateway.surfaces.wire_formats.openai.responses.request_wire import ResponsesRequest
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire as stores

OPENAI, ANTHROPIC = "OpenAI", "Anthropic"


@dataclass(frozen=True)
class WireOperation:
    """One route of a wire format. ``chunk`` names what a stream's events carry, "" where it has no stream.

    Without ``answer`` it answers with bytes; ``form``: the request is a form that uploads a file.
    """

    method: str
    path: str
    summary: str
    answer: type[msgspec.Struct] | None
    request: type[msgspec.Struct] | None = None
    chunk: str = ""
    form: bool = False
    vendor: str = OPENAI


WIRE_OPERATIONS = (
    WireOperation(
        "post",
        "/v1/chat/completions",
        "Answers a conversation, in OpenAI's chat-completions format.",
        ChatCompletion,
        ChatCompletionRequest,
        "chat.completion.chunk",
    ),
    WireOperation(
        "post",
        "/v1/completions",
        "Continues a text, in OpenAI's older completions format.",
        TextCompletion,
        CompletionRequest,
        "text_completion",
    ),
    WireOperation(
        "post",
        "/v1/responses",
        "Answers a conversation, in OpenAI's Responses format.",
        responses.Response,
        ResponsesRequest,
        "response.created to response.completed",
    ),
    WireOperation(
        "get",
        "/v1/responses/{response}",
        "Returns a kept response.",
        responses.Response,
        chunk="response.created to response.completed",
    ),
    WireOperation("delete", "/v1/responses/{response}", "Deletes a kept response.", responses.ResponseDeleted),
    WireOperation(
        "post",
        "/v1/responses/{response}/cancel",
        "Ends a response that is made in the background.",
        responses.Response,
    ),
    WireOperation(
        "get",
        "/v1/responses/{response}/input_items",
        "Lists what a kept response's request has asked.",
        responses.ResponseItems,
    ),
    WireOperation(
        "post",
        "/v1/responses/input_tokens",
        "Says about how many tokens a request has, with all that it goes on from.",
        responses.CountedInput,
        ResponsesRequest,
    ),
    WireOperation(
        "post", "/v1/embeddings", "Turns texts into vectors, in OpenAI's format.", EmbeddingList, EmbeddingsRequest
    ),
    WireOperation(
        "post", "/v1/rerank", "Puts documents in the order in which they answer a query.", Ranking, RerankRequest
    ),
    WireOperation("post", "/v2/rerank", "As /v1/rerank, with errors as Cohere tells them.", Ranking, RerankRequest),
    WireOperation(
        "post", "/v1/moderations", "Says what is objectionable about contents.", Moderation, ModerationRequest
    ),
    WireOperation("get", "/v1/models", "Lists the models that the key may ask for.", ModelList),
    WireOperation("get", "/v1/models/{id}", "Says whether the key may ask for a model.", Model),
    WireOperation("get", "/v1/organization/usage/completions", "Tells what chats used, in buckets of time.", UsagePage),
    WireOperation(
        "get", "/v1/organization/usage/embeddings", "Tells what embeddings used, in buckets of time.", UsagePage
    ),
    WireOperation("get", "/v1/organization/costs", "Tells what everything cost, in buckets of days.", UsagePage),
    WireOperation("post", "/v1/files", "Keeps a file.", stores.FileObject, form=True),
    WireOperation("get", "/v1/files", "Lists files.", stores.ObjectList),
    WireOperation("get", "/v1/files/{file}", "Returns a file.", stores.FileObject),
    WireOperation("delete", "/v1/files/{file}", "Deletes a file, from every vector store, too.", stores.Deleted),
    WireOperation("get", "/v1/files/{file}/content", "Returns a file's bytes.", None),
    WireOperation(
        "post",
        "/v1/batches",
        "Has the requests of a file answered by a file.",
        batches.BatchObject,
        batches.BatchCreation,
    ),
    WireOperation("get", "/v1/batches", "Lists batches.", stores.ObjectList),
    WireOperation("get", "/v1/batches/{batch}", "Says how far a batch is.", batches.BatchObject),
    WireOperation("post", "/v1/batches/{batch}/cancel", "Ends a batch.", batches.BatchObject),
    WireOperation("post", "/v1/vector_stores", "Makes a vector store.", stores.VectorStore, stores.StoreCreation),
    WireOperation("get", "/v1/vector_stores", "Lists vector stores.", stores.ObjectList),
    WireOperation("get", "/v1/vector_stores/{store}", "Returns a vector store.", stores.VectorStore),
    WireOperation(
        "post", "/v1/vector_stores/{store}", "Changes a vector store.", stores.VectorStore, stores.StoreChange
    ),
    WireOperation("delete", "/v1/vector_stores/{store}", "Deletes a vector store.", stores.Deleted),
    WireOperation(
        "post",
        "/v1/vector_stores/{store}/search",
        "Finds what the key may find in a vector store.",
        stores.SearchPage,
        stores.SearchBody,
    ),
    WireOperation(
        "post",
        "/v1/vector_stores/{store}/files",
        "Has a file taken in.",
        stores.VectorStoreFile,
        stores.FileAttachment,
    ),
    WireOperation("get", "/v1/vector_stores/{store}/files", "Lists a vector store's files.", stores.ObjectList),
    WireOperation(
        "get", "/v1/vector_stores/{store}/files/{file}", "Returns a vector store's file.", stores.VectorStoreFile
    ),
    WireOperation(
        "post",
        "/v1/vector_stores/{store}/files/{file}",
        "Changes a file's attributes.",
        stores.VectorStoreFile,
        stores.FileChange,
    ),
    WireOperation(
        "delete", "/v1/vector_stores/{store}/files/{file}", "Takes a file out of a vector store.", stores.Deleted
    ),
    WireOperation(
        "get",
        "/v1/vector_stores/{store}/files/{file}/content",
        "Returns the text that was read out of a file.",
        stores.ContentPage,
    ),
    WireOperation(
        "post",
        "/v1/vector_stores/{store}/file_batches",
        "Has files taken in together.",
        stores.FileBatchObject,
        stores.BatchCreation,
    ),
    WireOperation(
        "get",
        "/v1/vector_stores/{store}/file_batches/{batch}",
        "Says how far a batch is.",
        stores.FileBatchObject,
    ),
    WireOperation(
        "post",
        "/v1/vector_stores/{store}/file_batches/{batch}/cancel",
        "Ends the taking in of a batch.",
        stores.FileBatchObject,
    ),
    WireOperation(
        "get",
        "/v1/vector_stores/{store}/file_batches/{batch}/files",
        "Lists a batch's files.",
        stores.ObjectList,
    ),
    WireOperation(
        "post",
        "/v1/messages",
        "Answers a conversation, in Anthropic's Messages format.",
        Message,
        MessagesRequest,
        "message_start to message_stop",
        vendor=ANTHROPIC,
    ),
    WireOperation(
        "post",
        "/v1/messages/count_tokens",
        "Says about how many tokens a request has.",
        CountedTokens,
        MessagesRequest,
        vendor=ANTHROPIC,
    ),
    WireOperation(
        "post",
        "/v1/messages/batches",
        "Has many requests for messages answered later.",
        message_batches.MessageBatch,
        message_batches.BatchCreation,
        vendor=ANTHROPIC,
    ),
    WireOperation(
        "get", "/v1/messages/batches", "Lists message batches.", message_batches.MessageBatchList, vendor=ANTHROPIC
    ),
    WireOperation(
        "get",
        "/v1/messages/batches/{batch}",
        "Says how a message batch stands.",
        message_batches.MessageBatch,
        vendor=ANTHROPIC,
    ),
    WireOperation(
        "delete",
        "/v1/messages/batches/{batch}",
        "Forgets a message batch that has ended.",
        message_batches.DeletedMessageBatch,
        vendor=ANTHROPIC,
    ),
    WireOperation(
        "post",
        "/v1/messages/batches/{batch}/cancel",
        "Ends a message batch.",
        message_batches.MessageBatch,
        vendor=ANTHROPIC,
    ),
    WireOperation(
        "get",
        "/v1/messages/batches/{batch}/results",
        "Returns what came of each request, a line for each.",
        None,
        vendor=ANTHROPIC,
    ),
)
