"""Each provider is asked for everything that the vocabulary has, and does with it what its table says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock_common.errors import UnsupportedParameter
from penstock_common.llm.types import GenerationInput, UnsupportedFields
from penstock_faults.script import Answer
from penstock_inference.adapters.providers.carried import How, Row, Table, Use

sys.path.insert(0, str(Path(__file__).parent))

from uses import CITED, USES, is_held, of_address  # noqa: E402
from wires import WIRES, Wire, table_of  # noqa: E402

REFUSE, DROP = UnsupportedFields.REFUSE, UnsupportedFields.DROP
CARRIED = (How.YES, How.CONVERTED)
ANSWER = Answer(tokens=("{}",))


def test_everything_is_asked_for():
    assert USES.keys() == set(Use)


@pytest.mark.parametrize("name", WIRES)
async def test_it_does_what_its_table_says(name: str, stage_of):
    wire, stage, table = WIRES[name], await stage_of(name), table_of(name)
    stage.plays(ANSWER)
    faults: list[str] = []
    asked = [(use, mode) for use in Use if use not in wire.by_facts for mode in (REFUSE, DROP)]
    for use, mode in asked:
        value = _input(use, wire, table)
        before = len(stage.server.record.requests)
        outcome = await stage.caller.ask("first/m", value=value, unsupported=mode)
        requests = stage.server.record.requests[before:]
        faults += [
            f"{use.value}, {mode.value}: {fault}" for fault in _faults(outcome, requests, wire, use, table[use], mode)
        ]
    assert faults == []


def _input(use: Use, wire: Wire, table: Table) -> GenerationInput:
    if use in wire.inputs:
        return wire.inputs[use]
    if use is Use.CITATIONS and table[Use.FILE].how not in CARRIED:
        return CITED
    return of_address(use, wire.addresses) if use in (Use.IMAGE_URL, Use.FILE_URL) else USES[use]


def _faults(outcome, requests, wire: Wire, use: Use, row: Row, mode: UnsupportedFields) -> Iterator[str]:
    if row.how is How.NEVER or (row.how is How.NO and mode is REFUSE):
        if not isinstance(outcome.error, UnsupportedParameter):
            yield f"the error is {outcome.error!r}"
        if requests:
            yield "the upstream was asked"
        return
    # The upstream gives one answer, however many it is asked for.
    if outcome.error is not None and not (use is Use.CHOICES and requests):
        yield f"it failed with {outcome.error!r}"
        return
    body = json.dumps(requests[-1].body, separators=(",", ":"), ensure_ascii=False)
    if is_held(use, body, wire.format, wire.holds) is not (row.how in CARRIED):
        yield f"the request is {body}"
    dropped = outcome.answer.started.dropped
    if row.how not in CARRIED and "without a word" not in row.note and use.value not in dropped:
        yield f"it is not said to be left out, but {dropped}"
    if row.how in CARRIED and use.value in dropped:
        yield "it is said to be left out"
