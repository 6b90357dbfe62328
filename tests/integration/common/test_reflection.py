"""What a listener describes to tools such as grpcurl and ghz."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2

from penstock.gateway.v1 import chat_service_pb2  # noqa: F401 - the file that is described
from penstock.router.v1 import router_service_pb2  # noqa: F401 - loaded, and not served
from penstock_common.rpc.reflection import serve_reflection

Request = reflection_pb2.ServerReflectionRequest
PROTOCOLS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


@pytest.fixture(params=PROTOCOLS)
async def ask(request):
    """One question about a server of the chat service, in each version of the protocol."""
    server = grpc.aio.server()
    serve_reflection(server, ["penstock.gateway.v1.ChatService"])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.stream_stream(
            f"/{request.param}.ServerReflection/ServerReflectionInfo",
            request_serializer=Request.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )

        async def answer(question):
            async for response in method(iter([question])):
                return response
            raise AssertionError("no answer")

        yield answer
    await server.stop(0)


def files(response):
    return [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in response.file_descriptor_response.file_descriptor_proto
    ]


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("penstock.gateway.v1.ChatService", "penstock/gateway/v1/chat_service.proto"),
        ("penstock.gateway.v1.ChatService.Chat", "penstock/gateway/v1/chat_service.proto"),
        ("penstock.gateway.v1.ChatService.StreamChat", "penstock/gateway/v1/chat_service.proto"),
        ("penstock.gateway.v1.ChatRequest", "penstock/gateway/v1/chat_service.proto"),
        ("penstock.gateway.v1.ChatRequest.input", "penstock/gateway/v1/chat_service.proto"),
        ("penstock.llm.v1.ROLE_USER", "penstock/llm/v1/message.proto"),
        ("penstock.llm.v1.Role.ROLE_USER", "penstock/llm/v1/message.proto"),
        ("google.api.http", "google/api/annotations.proto"),
        ("google.rpc.ErrorInfo", "google/rpc/error_details.proto"),
    ],
)
async def test_a_symbol_of_each_kind_is_found_with_all_that_it_needs(ask, symbol, file):
    described = files(await ask(Request(file_containing_symbol=symbol)))
    names = [each.name for each in described]
    assert file in names
    assert {needed for each in described for needed in each.dependency} <= set(names)


@pytest.mark.parametrize(
    "symbol",
    [
        "penstock.gateway.v1.ChatService.Nothing",
        "penstock.gateway.v1.Nothing",
        "penstock.llm.v1.Role.ROLE_NOTHING",
        "penstock.router.v1.RouterService",
        "penstock.router.v1.RouterService.Route",
        "Nothing",
        "",
        "..",
    ],
)
async def test_what_is_not_served_is_not_found_and_the_stream_goes_on(ask, symbol):
    answer = await ask(Request(file_containing_symbol=symbol))
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_both_versions_are_listed_and_describe_themselves(ask):
    listed = {service.name for service in (await ask(Request(list_services=""))).list_services_response.service}
    assert listed == {"penstock.gateway.v1.ChatService", *(f"{protocol}.ServerReflection" for protocol in PROTOCOLS)}
    for protocol in PROTOCOLS:
        [described] = files(
            await ask(Request(file_containing_symbol=f"{protocol}.ServerReflection.ServerReflectionInfo"))
        )
        assert described.package == protocol
        assert described.service[0].method[0].input_type == f".{protocol}.ServerReflectionRequest"


async def test_a_file_is_found_by_its_name(ask):
    described = files(await ask(Request(file_by_filename="penstock/llm/v1/message.proto")))
    assert described[0].name == "penstock/llm/v1/message.proto"
