"""What a trace says of rules: on the way in what was found there, on the way out what was found since, in calls, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline_world import Desk, entered, guarding_of
from test_exchange import ENDING, STARTED, World, served
from test_guarded_bills import begin, rails_of

from penstock_common.llm.types import Message, Role, TextDelta, ToolCall, ToolCallDelta


async def test_each_step_says_what_was_found_in_it():
    rules = {
        "in": {"kind": "words", "deny": ["hi"], "action": "redact", "surfaces": ["input"]},
        "out": {"kind": "words", "deny": ["zeus"], "action": "redact", "surfaces": ["output", "tool_call"]},
    }
    call = ToolCallDelta(index=0, id="c", name="ask", arguments_json_fragment='{"of":"zeus"}')
    world = World(batches=((STARTED, TextDelta(text="By Zeus, "), TextDelta(text="zeus"), call), ENDING))
    exchange = begin(world, rails_of(rules, input=["in", "out"], output=["out"]))
    await served(exchange)
    told = {
        step.name: {name.split("@")[0] + name[name.index(".") :]: value for name, value in step.attributes.items()}
        for step in exchange.call.steps.recorded
        if step.name.startswith("guard.")
    }
    assert told == {
        "guard.input": {"in.input": "redact:1"},
        "guard.output": {"out.output": "redact:2", "out.tool_call": "redact:1"},
    }


async def test_a_person_is_shown_which_tool_was_called():
    desk = Desk()
    rules = {"shell": {"kind": "tools", "deny": ["shell*"], "action": "review"}}
    call = ToolCall(id="c", name="shell_run", arguments_json='{"command":"ls"}')
    await entered(guarding_of(rules, input=["shell"], desk=desk), Message(role=Role.ASSISTANT, tool_calls=(call,)))
    assert [(one.text, one.found[0].end) for one in desk.flags] == [('shell_run\n{"command":"ls"}', 26)]
