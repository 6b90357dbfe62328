"""grpcurl, by reflection and by the descriptor set."""

from __future__ import annotations

import json
import os
import subprocess

from checks import GRPC, KEY, MODEL, SENTENCE, check, equal, run

QUESTION = json.dumps(
    {"input": {"model": MODEL, "messages": [{"role": "ROLE_USER", "parts": [{"text": "What does a penstock do?"}]}]}}
)
CHAT = "penstock.gateway.v1.ChatService"


def grpcurl(*arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        ["grpcurl", "-plaintext", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    if fails != bool(done.returncode):
        raise AssertionError(done.stderr.strip()[-300:] or done.stdout[-300:])
    return done.stderr if fails else done.stdout


@check
def list_services() -> None:
    assert CHAT in grpcurl(GRPC, "list").splitlines()


@check
def describe_a_service_a_method_and_a_message() -> None:
    for symbol in (
        CHAT,
        f"{CHAT}.StreamChat",
        "penstock.gateway.v1.ChatRequest",
        "grpc.reflection.v1.ServerReflection",
    ):
        assert " is a " in grpcurl(GRPC, "describe", symbol)


@check
def call() -> None:
    answer = json.loads(grpcurl("-H", f"authorization: Bearer {KEY}", "-d", QUESTION, GRPC, f"{CHAT}/Chat"))
    equal(answer["message"]["parts"][0]["text"], SENTENCE)


@check
def stream_by_the_descriptor_set() -> None:
    said = grpcurl(
        "-protoset",
        os.environ["PENSTOCK_DESCRIPTORS"],
        "-H",
        f"x-api-key: {KEY}",
        "-d",
        QUESTION,
        GRPC,
        f"{CHAT}/StreamChat",
    )
    assert '"textDelta"' in said and '"finished"' in said


@check
def error_with_its_details() -> None:
    said = grpcurl("-d", QUESTION, GRPC, f"{CHAT}/Chat", fails=True)
    assert "Unauthenticated" in said and "INVALID_CREDENTIALS" in said, said


run()
