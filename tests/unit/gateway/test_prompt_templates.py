"""Templates: what may be one, what values may stand in their places, and what is made of both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import GenerationInput, Image, Message, Role, SamplingParams, Text
from penstock_gateway.domain.prompts.content import Template, Turn, Variable, VariableType
from penstock_gateway.domain.prompts.template import (
    MAX_RENDERED_CHARACTERS,
    CompiledTemplate,
    before,
    check_template,
    with_defaults,
)
from penstock_gateway.domain.prompts.values import MAX_VALUE_CHARACTERS

Type = VariableType


def user(text, *variables, **more):
    return Template(turns=(Turn(role=Role.USER, text=text),), variables=variables, **more)


def variable(name="x", type=Type.STRING, **more):  # noqa: A002 - the field's name
    return Variable(name=name, type=type, **more)


def rendered(template, **values):
    check_template(template)
    (message,) = CompiledTemplate(template).messages(values)
    return message.text


def refusal(call, *arguments, **named):
    with pytest.raises(InvalidRequest) as refused:
        call(*arguments, **named)
    return refused.value.field, refused.value.message


def test_a_prompt_with_its_values_is_no_longer_than_may_be_and_is_not_written_before_that_is_known():
    template = user("{{x}}" * 4096, variable())
    assert len(rendered(template, x="a" * 1024)) == MAX_RENDERED_CHARACTERS
    field, message = refusal(CompiledTemplate(template).messages, {"x": "a" * MAX_VALUE_CHARACTERS})
    assert field == "prompt.variables"
    assert f"has {4096 * MAX_VALUE_CHARACTERS} characters, and may have at most {MAX_RENDERED_CHARACTERS}" in message
    assert refusal(CompiledTemplate(user("!" + "{{x}}" * 4096, variable())).messages, {"x": "a" * 1024})[0] == field


def test_places_are_filled_wherever_they_stand():
    template = user("{{x}} and {{ y }}, {{x}}!", variable("x"), variable("y"))
    assert rendered(template, x="a", y="b") == "a and b, a!"


@given(st.text(max_size=50), st.text(max_size=50))
def test_value_is_never_read_as_a_template(first, second):
    template = user("<{{x}}|{{y}}>", variable("x"), variable("y"))
    assert rendered(template, x=f"{{{{y}}}}{first}", y=second) == f"<{{{{y}}}}{first}|{second}>"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Type.STRING, "ä", "ä"),
        (Type.INTEGER, 5, "5"),
        (Type.INTEGER, 5.0, "5"),
        (Type.NUMBER, 5.0, "5"),
        (Type.NUMBER, 0.25, "0.25"),
        (Type.BOOLEAN, True, "true"),
        (Type.BOOLEAN, False, "false"),
        (Type.JSON, {"b": [1, None], "a": "{{x}}"}, '{"a":"{{x}}","b":[1,null]}'),
        (Type.JSON, "text", '"text"'),
    ],
)
def test_value_is_written_as_its_type_is(kind, value, text):
    assert rendered(user("{{x}}", variable(type=kind)), x=value) == text


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Type.STRING, 5, "must be a string, not an integer"),
        (Type.STRING, ["a"], "must be a string, not an array"),
        (Type.INTEGER, "5", "must be an integer, not a string"),
        (Type.INTEGER, 5.5, "must be an integer, not a number"),
        (Type.INTEGER, True, "must be an integer, not a boolean"),
        (Type.NUMBER, float("inf"), "must be a number"),
        (Type.BOOLEAN, 1, "must be true or false, not an integer"),
        (Type.IMAGE_URL, "file:///etc/passwd", "must be an http(s) address"),
        (Type.IMAGE_URL, {}, "must be an http(s) address, not an object"),
    ],
)
def test_value_of_another_type_is_refused_by_its_name(kind, value, words):
    field, message = refusal(rendered, user("{{x}}", variable(type=kind)), x=value)
    assert field == "prompt.variables.x"
    assert words in message


def test_enum_has_its_values_alone():
    template = user("{{x}}", variable(type=Type.ENUM, values=("formal", "casual")))
    assert rendered(template, x="casual") == "casual"
    assert refusal(rendered, template, x="rude") == (
        "prompt.variables.x",
        "prompt.variables.x must be one of formal, casual, not 'rude'.",
    )


def test_missing_value_is_the_default_or_empty_where_it_need_not_be_there():
    template = user("{{x}}|{{y}}", variable("x", default="usual"), variable("y", required=False))
    assert rendered(template) == "usual|"
    assert rendered(template, x=None) == "usual|"
    assert refusal(rendered, user("{{x}}", variable()))[1] == "prompt.variables.x is missing: the prompt requires it."


def test_unknown_variable_is_refused_with_the_nearest_name():
    template = user("{{customer}}", variable("customer"))
    field, message = refusal(rendered, template, custumer="Ada", customer="Ada")
    assert field == "prompt.variables.custumer"
    assert message.endswith("Did you mean 'customer'?")
    assert refusal(rendered, user("no place"), anything=1)[1].endswith("It has none.")


@pytest.mark.parametrize(("kind", "value"), [(Type.STRING, "123456"), (Type.JSON, [1, 2, 3]), (Type.INTEGER, 123456)])
def test_what_is_written_is_no_longer_than_it_may_be(kind, value):
    template = user("{{x}}", variable(type=kind, max_length=5))
    assert "may have at most 5 characters" in refusal(rendered, template, x=value)[1]


def test_image_stands_in_its_place_between_the_texts():
    template = user("Look: {{photo}} and say.", variable("photo", Type.IMAGE_URL, required=False))
    check_template(template)
    compiled = CompiledTemplate(template)
    (message,) = compiled.messages({"photo": "https://x/y.png"})
    assert message.parts == (Text("Look: "), Image(url="https://x/y.png"), Text(" and say."))
    assert compiled.messages({})[0].parts == (Text("Look:  and say."),)


@pytest.mark.parametrize(
    ("template", "field", "words"),
    [
        (Template(turns=()), "template.messages", "at least one"),
        (user(" "), "template.messages[0].text", "is empty"),
        (user("a" * 262_145), "template.messages", "262144"),
        (Template(turns=(Turn(role=Role.TOOL, text="x"),)), "template.messages[0].role", "system, user or assistant"),
        (user("{{x}}"), "template.messages[0].text", "'x' is not among"),
        (user("{{custumer}}", variable("customer")), "template.messages[0].text", "Did you mean 'customer'?"),
        (user("none", variable()), "template.variables", "stands in no message"),
        (user("{{x}}", variable(), variable()), "template.variables[1].name", "twice"),
        (user("{{x}}", variable("1x")), "template.variables[0].name", "no digit"),
        (user("{{#if x}}{{x}}", variable()), "template.messages[0].text", "{{#if x}}"),
        (user("{{ 1 + 1 }}"), "template.messages[0].text", "all that a template has"),
        (user("{{x}}", variable(type=Type.ENUM)), "template.variables[0].values", "which there are"),
        (user("{{x}}", variable(values=("a",))), "template.variables[0].values", "only be said of an enum"),
        (user("{{x}}", variable(default=5)), "template.variables[0].default_value", "must be a string"),
        (user("{{x}}", variable(default="abc", max_length=2)), "template.variables[0].default_value", "at most 2"),
        (user("{{x}}", variable(max_length=300_000)), "template.variables[0].max_length", "262144"),
        (user("x", sampling=SamplingParams(temperature=3)), "template.sampling.temperature", "between 0 and 2"),
        (user("x", *[variable(f"v{n}") for n in range(65)]), "template.variables", "at most 64"),
    ],
)
def test_what_cannot_be_a_template_is_refused_where_it_stands(template, field, words):
    where, message = refusal(check_template, template)
    assert where == field
    assert words in message


def test_image_stands_in_a_users_message_alone():
    template = Template(turns=(Turn(role=Role.SYSTEM, text="{{x}}"),), variables=(variable(type=Type.IMAGE_URL),))
    assert "may only stand in a user's message" in refusal(check_template, template)[1]


def message(role, text):
    return Message(role, (Text(text),))


def texts(request):
    return [each.text for each in request.messages]


def test_template_stands_before_the_conversation_and_systems_before_all():
    template = (message(Role.SYSTEM, "T"), message(Role.USER, "t1"), message(Role.ASSISTANT, "t2"))
    own = (message(Role.SYSTEM, "S"), message(Role.USER, "u1"))
    assert texts(before(template, GenerationInput("m", own))) == ["T", "S", "t1", "t2", "u1"]
    assert texts(before(template, GenerationInput("m", ()))) == ["T", "t1", "t2"]


def test_conversation_that_goes_on_is_edited_alike():
    template = (message(Role.SYSTEM, "T"), message(Role.USER, "t1"))
    own = (message(Role.SYSTEM, "S"), message(Role.USER, "u1"))
    more = (*own, message(Role.ASSISTANT, "a1"), message(Role.SYSTEM, "late"), message(Role.USER, "u2"))
    earlier, later = (
        texts(before(template, GenerationInput("m", own))),
        texts(before(template, GenerationInput("m", more))),
    )
    assert later[: len(earlier)] == earlier
    assert later[len(earlier) :] == ["a1", "late", "u2"]


def test_sampling_of_the_prompt_holds_where_nothing_is_wanted():
    usual = SamplingParams(temperature=0.5, max_output_tokens=10, stop=("x",))
    assert with_defaults(SamplingParams(temperature=0, seed=1), usual) == SamplingParams(
        temperature=0, max_output_tokens=10, stop=("x",), seed=1
    )
    wanted = SamplingParams(seed=1)
    assert with_defaults(wanted, SamplingParams()) is wanted
