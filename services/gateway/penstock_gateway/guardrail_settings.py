"""What the gateway reads of the configuration about guardrails: rules by name, and for whom they hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from penstock_common.configuration import Duration, Section
from penstock_common.faults import KeyPath, nearest, refuse
from penstock_gateway.domain.guardrails.pattern_cost import PatternRefused, checked_pattern
from penstock_gateway.domain.guardrails.pii.finding import Kind
from penstock_gateway.domain.guardrails.pipeline.rule import INPUT_SURFACES, OUTPUT_SURFACES, Action, Late, Surface

RuleKind = Literal[
    "pii", "secrets", "injection", "exfiltration", "words", "pattern", "length", "language", "tools", "topics",
    "grounding", "moderation", "spotlight",
]  # fmt: skip
ActionName = Literal["report", "review", "pseudonymise", "redact", "replace", "retry", "refuse"]
SurfaceName = Literal["system", "input", "tool_result", "document", "output", "tool_call"]
PiiType = Literal[
    "email", "phone", "credit_card", "iban", "ssn_us", "ip_address", "passport", "date_of_birth", "person", "address",
    "api_key", "url_with_token",
]  # fmt: skip
_PATTERN_LENGTH = 1000
_EVERYWHERE = frozenset(Surface)
_SAID = frozenset({Surface.INPUT, Surface.TOOL_RESULT, Surface.DOCUMENT})

DEFAULT_SURFACES: dict[str, frozenset[Surface]] = {
    "pii": _EVERYWHERE,
    "secrets": _EVERYWHERE,
    "injection": _SAID,
    "exfiltration": frozenset({Surface.OUTPUT}),
    "words": frozenset({Surface.INPUT, Surface.OUTPUT}),
    "pattern": frozenset({Surface.INPUT, Surface.OUTPUT}),
    "length": frozenset({Surface.INPUT, Surface.OUTPUT}),
    "language": frozenset({Surface.INPUT, Surface.OUTPUT}),
    "tools": frozenset({Surface.TOOL_CALL}),
    "topics": frozenset({Surface.INPUT}),
    "grounding": frozenset({Surface.OUTPUT}),
    "moderation": frozenset({Surface.INPUT, Surface.OUTPUT}),
    "spotlight": frozenset({Surface.TOOL_RESULT, Surface.DOCUMENT}),
}
# What each kind may do, its usual action first.
ACTIONS: dict[str, tuple[ActionName, ...]] = {
    "pii": ("redact", "report", "review", "pseudonymise", "replace", "refuse", "retry"),
    "secrets": ("redact", "report", "review", "pseudonymise", "replace", "refuse", "retry"),
    "injection": ("refuse", "report", "review", "replace", "retry"),
    "exfiltration": ("redact", "report", "review", "replace", "refuse", "retry"),
    "words": ("refuse", "report", "review", "redact", "replace", "retry"),
    "pattern": ("refuse", "report", "review", "redact", "replace", "retry"),
    "length": ("refuse", "report", "review", "replace", "retry"),
    "language": ("refuse", "report", "review", "replace", "retry"),
    "tools": ("refuse", "report", "review"),
    "topics": ("refuse", "report", "review", "replace"),
    "grounding": ("report", "review", "replace", "refuse", "retry"),
    "moderation": ("refuse", "report", "review", "replace", "retry"),
    "spotlight": (),
}
# Settings that belong to kinds.
_OF_KINDS: dict[str, frozenset[str]] = {
    "types": frozenset({"pii"}),
    "names": frozenset({"pii"}),
    "allow": frozenset({"pii", "secrets", "exfiltration", "tools", "language"}),
    "deny": frozenset({"words", "tools", "language"}),
    "patterns": frozenset({"pattern"}),
    "arguments": frozenset({"tools"}),
    "most_characters": frozenset({"length"}),
    "classifier": frozenset({"injection"}),
    "threshold": frozenset({"injection", "topics", "grounding", "moderation"}),
    "examples": frozenset({"topics"}),
    "url": frozenset({"moderation"}),
    "api_key": frozenset({"moderation"}),
    "datamarking": frozenset({"spotlight"}),
    "held_too_long": frozenset({"pii", "secrets", "injection", "exfiltration", "words", "pattern"}),
}
_NEEDED = {
    "words": "deny",
    "pattern": "patterns",
    "length": "most_characters",
    "topics": "examples",
    "moderation": "url",
}


class ArgumentRule(Section):
    """What an argument of a tool's call may not be."""

    tool: str = "*"
    """The tool's name; `*` stands for any characters."""
    pointer: str = ""
    """A JSON pointer (RFC 6901) to the argument, such as `/path`; empty: all arguments, as compact JSON."""
    pattern: Annotated[str, Field(min_length=1, max_length=_PATTERN_LENGTH)]
    """What is denied; see `patterns`."""
    unless: bool = False
    """Whether all is denied that the pattern does not match as a whole."""


class RuleSettings(Section):
    """A rule."""

    kind: RuleKind
    """What it looks for ([guardrails](guardrails.md))."""
    action: ActionName | None = None
    """What follows. Unset: the usual one of its kind."""
    surfaces: Annotated[list[SurfaceName], Field(max_length=6)] = []
    """Where it looks. None: where its kind usually does."""
    on_failure: Literal["open", "closed"] = "closed"
    """Whether a text passes that the rule could not look at, or the request fails."""
    timeout: Annotated[Duration, Field(gt=timedelta(), le=timedelta(seconds=30))] = timedelta(milliseconds=500)
    """Of one look, where it is not done at once."""
    held_too_long: Literal["words", "all", "wait", "refuse"] | None = None
    """What follows where text of an answer has waited for it for as long as `hold_for` says: whole words leave and what may
    have begun waits on, all leaves, all waits on, or the answer ends. Unset: `words`, and `all` with `on_failure: open`."""
    shadow: bool = False
    """Whether it only says what it would do."""
    text: Annotated[str, Field(max_length=2000)] = ""
    """What replaces, or what the caller of a refused request is told."""
    hold: bool = False
    """With `review`: whether the caller waits until a person has looked."""
    ask: Annotated[str, Field(max_length=2000)] = ""
    """With `retry`: what the model is told of its answer. Unset: which rule it breaks."""
    types: list[PiiType] = []
    """Of personal data. None: all."""
    names: bool = False
    """Whether persons and addresses are looked for, which takes milliseconds and so is done beside."""
    allow: Annotated[list[str], Field(max_length=1000)] = []
    """Texts that are no finding; for `exfiltration` hosts, for `tools` the names that may be called, for `language` codes."""
    deny: Annotated[list[str], Field(max_length=1000)] = []
    """Words and phrases; for `tools` names that may not be called, for `language` codes."""
    patterns: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=_PATTERN_LENGTH)]], Field(max_length=100)
    ] = []
    """Regular expressions whose repetitions have an end, such as `{0,64}` in the place of `*`."""
    arguments: Annotated[list[ArgumentRule], Field(max_length=100)] = []
    """What calls may not say."""
    most_characters: Annotated[int, Field(ge=0)] = 0
    """Of one text."""
    classifier: bool = True
    """Whether injection is looked for by what was learned, too, which takes milliseconds and so is done beside."""
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """The score from which a text is a finding. Unset: the kind's own."""
    examples: Annotated[list[str], Field(max_length=200)] = []
    """Texts of the topic."""
    url: str = ""
    """Where texts are sent to be judged."""
    api_key: SecretStr = SecretStr("")
    """For that."""
    datamarking: bool = False
    """Whether words are parted by a mark, too."""

    @property
    def acts(self) -> Action:
        """What follows from a finding."""
        if self.kind == "spotlight":
            return Action.SPOTLIGHT
        return Action(self.action or ACTIONS[self.kind][0])

    @property
    def late(self) -> Late:
        """What follows where text has waited for it for too long."""
        return Late(self.held_too_long or ("words" if self.on_failure == "closed" else "all"))

    @property
    def looks_at(self) -> frozenset[Surface]:
        """Where it looks."""
        return frozenset(map(Surface, self.surfaces)) or DEFAULT_SURFACES[self.kind]

    @model_validator(mode="after")
    def _usable(self) -> RuleSettings:
        refuse(self._at_odds())
        return self

    def _at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        for name, kinds in _OF_KINDS.items():
            if name in self.model_fields_set and self.kind not in kinds:
                yield (name,), f"a rule of the kind '{self.kind}' has no '{name}'"
        needed = _NEEDED.get(self.kind)
        if needed is not None and not getattr(self, needed):
            yield (needed,), f"a rule of the kind '{self.kind}' needs '{needed}'"
        if self.action is not None and self.action not in ACTIONS[self.kind]:
            known = ", ".join(ACTIONS[self.kind]) or "no action of its own"
            yield ("action",), f"a rule of the kind '{self.kind}' cannot '{self.action}': it has {known}"
        if self.action == "replace" and not self.text:
            yield ("text",), "a rule that replaces needs the 'text' that it puts in the place of what it found"
        if self.hold and self.action != "review":
            yield ("hold",), "only a rule whose action is 'review' can hold"
        if self.ask and self.action != "retry":
            yield ("ask",), "only a rule whose action is 'retry' asks the model for another answer"
        if self.url and not self.url.startswith(("http://", "https://")):
            yield ("url",), "a URL that begins with http:// or https:// is expected"
        yield from self._patterns_at_odds()

    def _patterns_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        said: list[tuple[KeyPath, str]] = [(("patterns", at), one) for at, one in enumerate(self.patterns)]
        said += [(("arguments", at, "pattern"), one.pattern) for at, one in enumerate(self.arguments)]
        for path, pattern in said:
            try:
                checked_pattern(pattern)
            except PatternRefused as error:
                yield path, str(error)


class PipelineSettings(Section):
    """Rules that hold for some; where several pipelines hold for a request, the rules of all do."""

    tenants: list[str] = []
    """Whose requests. None: everybody's."""
    models: list[str] = []
    """Public models. None: all."""
    keys: list[str] = []
    """Ids of keys. None: all."""
    input: Annotated[list[str], Field(max_length=50)] = []
    """Rules for what goes to a model, in their order; each sees what those before it have made of it."""
    output: Annotated[list[str], Field(max_length=50)] = []
    """Rules for what comes back."""
    hold_for: Annotated[Duration, Field(gt=timedelta(), le=timedelta(minutes=10))] | None = None
    """How long text of an answer waits for its rules where the upstream is slow. Unset: as another pipeline says that holds, or
    5s; where several say so, the last."""


class GuardrailSettings(Section):
    """What is looked at on its way to models and back."""

    rules: dict[str, RuleSettings] = {}
    pipelines: Annotated[list[PipelineSettings], Field(max_length=1000)] = []
    pseudonyms: Literal["tenant", "conversation"] = "tenant"
    """Within what the same original has the same pseudonym: all requests of a tenant, or those that begin with the same
    user's turn."""
    threads: Annotated[int, Field(gt=0, le=64)] = 2
    """For rules that take milliseconds; as many more are for texts of over 65,536 characters alone."""
    waiting: Annotated[int, Field(gt=0)] = 64
    """Looks that wait for a thread; a further one fails."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an answer is asked for again that a rule with the action `retry` finds something in; 0: it is refused."""
    most_held: Annotated[int, Field(ge=256, le=16_777_216)] = 1_048_576
    """Characters of an answer that is looked at as a whole; a longer one is refused."""
    most_looked: Annotated[int, Field(ge=65_536, le=33_554_432)] = 4_000_000
    """Characters of one text that a rule looks at: of a longer one it fails, and a request is refused that it must look at."""


def guardrails_at_odds(settings: GuardrailSettings) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong between rules and pipelines."""
    for at, pipeline in enumerate(settings.pipelines):
        for side, surfaces in (("input", INPUT_SURFACES), ("output", OUTPUT_SURFACES)):
            names: list[str] = getattr(pipeline, side)
            path = ("guardrails", "pipelines", at, side)
            yield from _names_at_odds(settings, names, side, surfaces, path)
        yield from _order_at_odds(settings, pipeline.input, ("guardrails", "pipelines", at, "input"))


def _names_at_odds(
    settings: GuardrailSettings, names: list[str], side: str, surfaces: frozenset[Surface], path: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    for number, name in enumerate(names):
        rule, where = settings.rules.get(name), (*path, number)
        if rule is None:
            yield where, f"there is no rule '{name}'{nearest(name, set(settings.rules))}"
        elif name in names[:number]:
            yield where, f"the rule '{name}' is there twice"
        elif not rule.looks_at & surfaces:
            yield where, f"the rule '{name}' looks at {', '.join(sorted(rule.looks_at))}, and none of that is {side}"
        elif side == "output" and rule.acts is Action.PSEUDONYMISE:
            yield (
                where,
                f"the rule '{name}' pseudonymises, which is for input: answers get their originals by themselves",
            )
        elif side == "output" and rule.kind == "spotlight":
            yield where, f"the rule '{name}' spotlights, which is for input"
        elif side == "input" and rule.acts is Action.RETRY:
            yield where, f"the rule '{name}' has answers asked for again: name it under 'output'"
        elif side == "input" and rule.kind == "grounding":
            yield where, f"the rule '{name}' judges answers: name it under 'output'"


def _order_at_odds(settings: GuardrailSettings, names: list[str], path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield what would never see what it is for."""
    redacted: set[str] = set()
    spotlight = ""
    for number, name in enumerate(names):
        rule = settings.rules.get(name)
        if rule is None:
            continue
        if spotlight and rule.kind != "spotlight":
            yield (
                (*path, number),
                f"the rule '{name}' comes after '{spotlight}', which must come last: it marks the text",
            )
        if rule.kind == "spotlight":
            spotlight = name
        if rule.kind not in ("pii", "secrets") or rule.shadow:
            continue
        types = types_of(rule)
        if rule.acts is Action.PSEUDONYMISE and (gone := types & redacted):
            yield (
                (*path, number),
                f"the rule '{name}' would pseudonymise {', '.join(sorted(gone))}, which a rule before it redacts: put it first",
            )
        if rule.acts is Action.REDACT:
            redacted |= types


def types_of(rule: RuleSettings) -> set[str]:
    """Return the types of data that a rule of the kinds pii or secrets looks for."""
    if rule.kind == "secrets":
        return {Kind.API_KEY.value, Kind.URL_WITH_TOKEN.value}
    types: set[str] = {*rule.types} or {one.value for one in Kind}
    return types if rule.names or rule.types else types - {Kind.PERSON.value, Kind.ADDRESS.value}
