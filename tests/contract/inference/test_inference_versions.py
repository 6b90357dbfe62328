"""Gateways of 0.1 beside this inference: the bytes that each sends, spelled out."""

from __future__ import annotations

from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.wire.inference import GENERATE
from penstock_common.llm.types import Candidate, GenerationInput, Message, Plan, Role, Text, TextDelta

# Of GenerateRequest: input = 1 (model = 1, messages = 2 with role = 1 and parts = 2), plan = 2 (candidates = 1).
_INPUT = b"\x0a\x04fast" + b"\x12\x09" + b"\x08\x03" + b"\x12\x05\x0a\x03Hi?"
_PLAN = b"\x0a\x0a" + b"\x0a\x05first" + b"\x12\x01m"
OLD_REQUEST = b"\x0a" + bytes([len(_INPUT)]) + _INPUT + b"\x12" + bytes([len(_PLAN)]) + _PLAN
# Of GenerateResponse, when it held one event: event = 1, its text_delta = 2, whose text = 1.
OLD_RESPONSE = b"\x0a\x06\x12\x04\x0a\x02Hi"

QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),))
ROUTE = Plan(candidates=(Candidate(upstream="first", model="m"),))


def test_a_gateway_of_0_1_asks_for_a_stream_of_single_events() -> None:
    asked = GENERATE.request.decode(OLD_REQUEST)
    assert asked == GenerateRequest(input=QUESTION, plan=ROUTE, whole=False, batches=False)


def test_a_batch_of_one_is_what_a_gateway_of_0_1_reads() -> None:
    assert GENERATE.response.encode([TextDelta(text="Hi")]) == OLD_RESPONSE


def test_the_event_of_an_inference_of_0_1_is_a_batch_of_one() -> None:
    assert GENERATE.response.decode(OLD_RESPONSE) == [TextDelta(text="Hi")]


def test_a_gateway_of_this_version_says_that_it_reads_batches() -> None:
    asked = GenerateRequest(input=QUESTION, plan=ROUTE)
    assert asked.batches
    assert GENERATE.request.decode(GENERATE.request.encode(asked)) == asked
