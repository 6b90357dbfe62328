"""Templates: what may be one, and what one makes of values.

The language is ``{{name}}`` and nothing else: a place is filled once, and what
is written there is never read as a template again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import ContentPart, GenerationInput, Image, Message, Role, SamplingParams, Text
from penstock_gateway.domain.life.validation import validate_input
from penstock_gateway.domain.prompts.content import Template, Turn, Variable, VariableType
from penstock_gateway.domain.prompts.values import (
    MAX_VALUE_CHARACTERS,
    check_default,
    nearest_hint,
    written_values,
)

MAX_TURNS = 64
MAX_TEMPLATE_CHARACTERS = 262_144
"""Of all texts together."""
MAX_RENDERED_CHARACTERS = 4_194_304
"""Of all texts together, with the values in their places."""
MAX_VARIABLES = 64
MAX_VALUES = 64
MAX_WORD_LENGTH = 256
"""Of one value of an enum."""
MAX_DESCRIPTION_LENGTH = 1024

_PLACE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]{0,63})[ \t]*\}\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MOST_SHOWN = 64
_ROLES = frozenset({Role.SYSTEM, Role.USER, Role.ASSISTANT})
_LEADING = (Role.SYSTEM, Role.DEVELOPER)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class CompiledTemplate:
    """A template that is ready to be filled: texts and names of variables by turns."""

    __slots__ = ("_images", "_texts_length", "_times", "_turns", "model", "sampling", "variables")

    def __init__(self, template: Template) -> None:
        """Take a template that ``check_template`` has passed."""
        self.model = template.model
        self.sampling = template.sampling
        self.variables = template.variables
        self._images = frozenset(known.name for known in template.variables if known.type is VariableType.IMAGE_URL)
        # Texts at even places, names at odd ones.
        self._turns = tuple((turn.role, tuple(_PLACE.split(turn.text))) for turn in template.turns)
        self._texts_length = sum(len(text) for _, pieces in self._turns for text in pieces[::2])
        self._times = Counter(name for _, pieces in self._turns for name in pieces[1::2])

    def check(self, given: Mapping[str, object]) -> None:
        """Raise what ``messages`` would say of the values, but for the length of all."""
        written_values(self.variables, given)

    def messages(self, given: Mapping[str, object]) -> tuple[Message, ...]:
        """Return the template's messages with the values in their places.

        Raises:
            InvalidRequest: if a value is unknown, missing, of another type, or too long; it names the variable. And if all
                that would be written is too long.
        """
        values = written_values(self.variables, given)
        # Known before it is written: a value of a request can stand in thousands of places.
        length = self._texts_length + sum(len(value) * self._times[name] for name, value in values.items())
        if length > MAX_RENDERED_CHARACTERS:
            raise InvalidRequest(
                f"prompt.variables: with them the prompt has {length} characters, and may have at most "
                f"{MAX_RENDERED_CHARACTERS}.",
                field="prompt.variables",
            )
        return tuple([Message(role, self._parts(pieces, values)) for role, pieces in self._turns])

    def _parts(self, pieces: tuple[str, ...], values: Mapping[str, str]) -> tuple[ContentPart, ...]:
        parts: list[ContentPart] = []
        text: list[str] = []
        for index, piece in enumerate(pieces):
            if index % 2 == 0:
                text.append(piece)
            elif piece not in self._images:
                text.append(values[piece])
            elif values[piece]:
                _flush(text, parts)
                parts.append(Image(url=values[piece]))
        _flush(text, parts)
        return tuple(parts) or (Text(""),)


def before(messages: tuple[Message, ...], request: GenerationInput) -> GenerationInput:
    """Return the request with a template's messages before its own, and the system's of both before all others.

    A conversation that goes on is edited alike: only what stands at its very head is passed.
    """
    template_head, own_head = _head_length(messages), _head_length(request.messages)
    own = request.messages
    joined = (*messages[:template_head], *own[:own_head], *messages[template_head:], *own[own_head:])
    return msgspec.structs.replace(request, messages=joined)


def with_defaults(wanted: SamplingParams, usual: SamplingParams) -> SamplingParams:
    """Return what is wanted, and ``usual`` where nothing is."""
    if usual == SamplingParams():
        return wanted
    said = {name: value for name in SamplingParams.__struct_fields__ if (value := getattr(wanted, name)) not in _UNSAID}
    return msgspec.structs.replace(usual, **said)


def check_template(template: Template) -> None:
    """Raise InvalidRequest for the first thing in the template that cannot be; paths begin at ``template``."""
    _check_turns(template.turns)
    _at_most("template.variables", len(template.variables), MAX_VARIABLES)
    known: dict[str, Variable] = {}
    for index, variable in enumerate(template.variables):
        path = f"template.variables[{index}]"
        _check_variable(path, variable)
        if variable.name in known:
            raise InvalidRequest(f"{path}.name: the variable '{variable.name}' is there twice.", field=f"{path}.name")
        known[variable.name] = variable
    used: set[str] = set()
    for index, turn in enumerate(template.turns):
        used |= _checked_places(f"template.messages[{index}].text", turn, known)
    unused = next((name for name in known if name not in used), None)
    if unused is not None:
        raise InvalidRequest(
            f"template.variables: '{unused}' stands in no message; write {{{{{unused}}}}} where it belongs.",
            field="template.variables",
        )
    _check_sampling(template.sampling)


_UNSAID: tuple[object, ...] = (None, "", ())


def _flush(text: list[str], parts: list[ContentPart]) -> None:
    joined = "".join(text)
    text.clear()
    if joined:
        parts.append(Text(joined))


def _head_length(messages: tuple[Message, ...]) -> int:
    return next((index for index, message in enumerate(messages) if message.role not in _LEADING), len(messages))


def _check_turns(turns: tuple[Turn, ...]) -> None:
    if not turns:
        raise InvalidRequest("template.messages must hold at least one message.", field="template.messages")
    _at_most("template.messages", len(turns), MAX_TURNS)
    for index, turn in enumerate(turns):
        path = f"template.messages[{index}]"
        if turn.role not in _ROLES:
            raise InvalidRequest(f"{path}.role must be system, user or assistant.", field=f"{path}.role")
        if not turn.text.strip():
            raise InvalidRequest(f"{path}.text is empty.", field=f"{path}.text")
        if "\x00" in turn.text:
            raise InvalidRequest(f"{path}.text must not hold NUL characters.", field=f"{path}.text")
    characters = sum(len(turn.text) for turn in turns)
    if characters > MAX_TEMPLATE_CHARACTERS:
        raise InvalidRequest(
            f"template.messages may have at most {MAX_TEMPLATE_CHARACTERS} characters together, not {characters}.",
            field="template.messages",
        )


def _check_variable(path: str, variable: Variable) -> None:
    if _NAME.fullmatch(variable.name) is None:
        raise InvalidRequest(
            f"{path}.name must have 1 to 64 letters, digits and _, and begin with no digit.", field=f"{path}.name"
        )
    if len(variable.description) > MAX_DESCRIPTION_LENGTH or _CONTROL.search(variable.description):
        raise InvalidRequest(
            f"{path}.description may have at most {MAX_DESCRIPTION_LENGTH} characters, and none that controls.",
            field=f"{path}.description",
        )
    if not 0 <= variable.max_length <= MAX_VALUE_CHARACTERS:
        raise InvalidRequest(
            f"{path}.max_length must be between 0 and {MAX_VALUE_CHARACTERS}.", field=f"{path}.max_length"
        )
    _check_values(f"{path}.values", variable)
    check_default(variable, f"{path}.default_value")


def _check_values(path: str, variable: Variable) -> None:
    is_enum = variable.type is VariableType.ENUM
    if is_enum != bool(variable.values):
        wanted = "must say which there are" if is_enum else "may only be said of an enum"
        raise InvalidRequest(f"{path} {wanted}.", field=path)
    _at_most(path, len(variable.values), MAX_VALUES)
    if any(not 0 < len(word) <= MAX_WORD_LENGTH or "\x00" in word for word in variable.values):
        raise InvalidRequest(f"{path} must have 1 to {MAX_WORD_LENGTH} characters each.", field=path)


def _checked_places(path: str, turn: Turn, known: Mapping[str, Variable]) -> set[str]:
    """Return the variables that stand in a text."""
    pieces = _PLACE.split(turn.text)
    stray = next((piece for piece in pieces[::2] if "{{" in piece), None)
    if stray is not None:
        shown = stray[stray.index("{{") :][:_MOST_SHOWN]
        raise InvalidRequest(
            f"{path}: '{shown}' is no place of a variable: {{{{name}}}} is all that a template has. "
            "Braces that are meant as they are can be a variable's default.",
            field=path,
        )
    for name in pieces[1::2]:
        if name not in known:
            hint = nearest_hint(name, known)
            raise InvalidRequest(f"{path}: the variable '{name}' is not among template.variables.{hint}", field=path)
        if known[name].type is VariableType.IMAGE_URL and turn.role is not Role.USER:
            raise InvalidRequest(f"{path}: the image '{name}' may only stand in a user's message.", field=path)
    return set(pieces[1::2])


def _check_sampling(sampling: SamplingParams) -> None:
    probe = GenerationInput(model="any", messages=(Message(Role.USER, (Text("any"),)),), sampling=sampling)
    try:
        validate_input(probe)
    except InvalidRequest as error:
        message, field = (text.replace("input.", "template.") for text in (error.message, error.field))
        raise InvalidRequest(message, field=field) from None


def _at_most(path: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidRequest(f"{path} may hold at most {most}, not {count}.", field=path)
