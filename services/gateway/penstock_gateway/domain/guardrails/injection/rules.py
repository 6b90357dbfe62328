"""Rules: cues that stand together and say more than each of them, by surface; and marks that are no words at all.

A rule that holds is a finding with its place and its reason, and something for the classifier to weigh: none decides alone,
but those of ``certain``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from penstock_gateway.domain.guardrails.injection.cues import Cue
from penstock_gateway.domain.guardrails.injection.exfiltration import carriers
from penstock_gateway.domain.guardrails.injection.finding import Kind, Surface
from penstock_gateway.domain.guardrails.injection.templates import special_tokens

_USER = frozenset({Surface.USER})
_READ = frozenset({Surface.DOCUMENT, Surface.TOOL_OUTPUT})
_GIVEN = _USER | _READ
_OUTPUT = frozenset({Surface.OUTPUT})


class Rule(NamedTuple):
    """Cues within ``reach`` characters of the first one, in its sentence unless ``anywhere``, with none of ``without`` there."""

    name: str
    kind: Kind
    surfaces: frozenset[Surface]
    cues: tuple[frozenset[str], ...]
    reason: str
    reach: int = 90
    without: frozenset[str] = frozenset()
    anywhere: bool = False


class Match(NamedTuple):
    """A rule that holds of a piece, and where in the piece."""

    name: str
    kind: Kind
    start: int
    end: int
    reason: str
    quoted: bool = False


def _any(*names: str) -> frozenset[str]:
    return frozenset(names)


_DEED = _any("steer", "act", "send", "conceal", "drop", "tell", "secret")
RULES = (
    Rule("drop-rules", Kind.OVERRIDE, _GIVEN, (_any("drop"), _any("rules", "system_prompt")), "rules are to be dropped", 45, _any("work", "talk")),
    Rule("drop-prior-rules", Kind.OVERRIDE, _GIVEN, (_any("drop"), _any("prior", "owner"), _any("rules", "system_prompt")), "earlier instructions are to be dropped", 70, _any("work")),
    Rule("drop-owner", Kind.OVERRIDE, _GIVEN, (_any("drop"), _any("owner")), "the operator is not to be heeded", 60),
    Rule("drop-comply", Kind.OVERRIDE, _USER, (_any("drop", "comply"), _any("unbound", "comply"), _any("rules", "you", "me")), "obedience is asked for without rules", 120),
    Rule("tell-prompt", Kind.EXTRACTION, _GIVEN, (_any("tell", "send"), _any("system_prompt")), "the instructions are to be told", 60, _any("talk")),
    Rule("tell-prompt-verbatim", Kind.EXTRACTION, _GIVEN, (_any("tell", "verbatim"), _any("system_prompt"), _any("verbatim")), "the instructions are to be told word for word", 110),
    Rule("tell-prior-verbatim", Kind.EXTRACTION, _USER, (_any("tell"), _any("prior", "rules"), _any("verbatim"), _any("you", "rules")), "what came before is to be told word for word", 110, _any("work")),
    Rule("persona-unbound", Kind.JAILBREAK, _USER, (_any("persona"), _any("unbound")), "a part that has no rules", 160, anywhere=True),
    Rule("persona-drops-rules", Kind.JAILBREAK, _USER, (_any("persona"), _any("drop"), _any("rules")), "a part that drops the rules", 160, _any("work"), anywhere=True),
    Rule("persona-harm", Kind.JAILBREAK, _USER, (_any("persona"), _any("harm"), _any("comply", "unbound", "verbatim", "tell")), "harm, asked for in a part", 260, anywhere=True),
    Rule("unbound-harm", Kind.JAILBREAK, _USER, (_any("unbound"), _any("harm")), "harm, asked for without rules", 200, anywhere=True),
    Rule("unbound-you", Kind.JAILBREAK, _GIVEN, (_any("unbound"), _any("you", "machine"), _any("must", "rules", "persona")), "the model is told that it has no rules", 90),
    Rule("called-deed", Kind.INDIRECT, _READ, (_any("called"), _DEED), "a text speaks to the model and asks for a deed", 130),
    Rule("machine-must", Kind.INDIRECT, _READ, (_any("machine"), _any("must"), _DEED), "a text says what the model must do", 110, _any("talk")),
    Rule("machine-reads", Kind.INDIRECT, _READ, (_any("machine"), _any("reading"), _DEED | _any("must")), "a text speaks to a machine that reads it", 130, _any("talk")),
    Rule("machine-steers-people", Kind.INDIRECT, _READ, (_any("machine"), _any("people"), _any("steer", "conceal", "secret")), "a model is to tell its user something", 130, _any("talk")),
    Rule("deed-concealed", Kind.INDIRECT, _GIVEN, (_any("act", "send", "drop", "secret"), _any("conceal")), "a deed that is to be hidden", 90, _any("work")),
    Rule("people-steered", Kind.INDIRECT, _READ, (_any("steer"), _any("people"), _any("secret", "conceal", "act")), "the user is to be told or asked something", 100),
    Rule("secret-sent", Kind.TOOL_ABUSE, _GIVEN, (_any("send"), _any("secret")), "secrets are to be sent", 80, _any("work")),
    Rule("secret-told", Kind.TOOL_ABUSE, _USER, (_any("act"), _any("secret"), _any("tell", "verbatim")), "a tool is to bring secrets", 90),
    Rule("sent-to-place", Kind.INDIRECT, _READ, (_any("steer", "send", "secret"), _any("people", "machine", "secret"), _any("place")), "people or secrets are to be sent to an address", 150, anywhere=True),
    Rule("drop-people", Kind.INDIRECT, _READ, (_any("drop"), _any("people"), _any("steer", "act", "send")), "the user's question is to be dropped", 90),
    Rule("answers-unbound", Kind.BROKEN_PERSONA, _OUTPUT, (_any("unbound", "drop"), _any("me", "persona"), _any("rules", "tell", "harm", "unbound")), "the answer speaks as one without rules", 140, _any("talk"), anywhere=True),
    Rule("answers-prompt", Kind.LEAK, _OUTPUT, (_any("system_prompt", "rules"), _any("conceal", "secret", "verbatim"), _any("me", "you")), "the answer tells instructions", 260, _any("talk"), anywhere=True),
)  # fmt: skip

_I = re.IGNORECASE
_ROLE_LINE = re.compile(r"(?:^|\n)\W{0,4}(?:system|assistant|human|user|developer|ai)\b\W{0,3}:[^\n]*(?:\n|$)", _I)
_ROLE_FIELD = re.compile(r"[\"']role[\"']\s*:\s*[\"'](?:system|developer)[\"']", _I)
_ROLE_INSIDE = re.compile(
    r"[}\]]\s*[,\n]?\s*\{\s*[\"']role[\"']\s*:\s*[\"'](?:system|developer|user|assistant)[\"']", _I
)
_LOCAL_SECRET = re.compile(
    r"file:///|169\.254\.169\.254|metadata\.google\.internal|/proc/self/environ|/etc/shadow|\bid_rsa\b|~/\.(?:ssh|aws)\b|os\.environ",
    _I,
)
_BROKEN_OUT = re.compile(
    r"(?:^|[\n\"'}\]>.])\s*</\s*[\w-]*(?:user|doc|retriev|context|tool|input|query|system|data|email|passage|result|content|prompt|question|instruction|note)[\w-]*\s*>",
    _I,
)
_RULED = re.compile(
    r"(?<![=#>*<_~\[-])[=#>*<_~\[-]{2,}\s*(?:/?\s*(?:end|begin|start|stop)\b[^\n=#>*]{0,40}|(?:new |next )?(?:system|admin\w*|developer|operator|priority|instruction|root|assistant configuration|task complete|next task)[^\n]{0,60})",
    _I,
)
_PRIVILEGED_TAG = re.compile(
    r"<\s*(?:system|admin|developer|operator|root|priority|instructions?|sys)[\w-]*(?:\s[^>]*)?>|\[\s*/?\s*(?:system|admin|sys|operator|developer|root)[^\]\n]{0,40}\]",
    _I,
)
_UNSEEN = re.compile(
    r"<!--(?P<comment>[^>]{12,600}?)-->|<[^<>]+(?:display\s*:\s*none|font-size\s*:\s*[01](?:px|pt)?\b|visibility\s*:\s*hidden|opacity\s*:\s*0|"
    r"color\s*:\s*(?:#fff|white)|\bhidden\b)[^>]*>(?P<text>[^<]{12,600})|\((?:white|hidden|invisible) text:?(?P<white>[^)]{8,400})\)",
    _I,
)
_LEAKED = re.compile(
    r"\b(?:(?:my|these|those|hidden|the (?:developer|system|operator)(?:'s)?|your)\s+(?:\w+\s+){0,3}(?:instructions?|prompt|message|rules|preamble|configuration|briefing|text)\b"
    r"[^.\n]{0,70}(?::|reads?|says?|goes|contains?|in full)|i was (?:told|instructed|given)\s*[:\"“]|above your (?:first )?message)",
    _I,
)
_IS_GIVEN = re.compile(
    r"\byou(?:'re| are)\b|\b(?:never|do not|don't|must not|forbidden|only|keep)\b|\b\w*(?:code|password|secret|limit|ceiling|margin)\b",
    _I,
)
_REFUSES = re.compile(
    r"\b(?:can(?:'t|not)|won't|will not|not able|unable|shouldn't|rather not|haven't followed|didn't|ignored it)\b", _I
)


_MARKED = (
    ("role-inside", Kind.DELIMITER, _ROLE_INSIDE, "a message that begins where another one ends"),
    ("local-secret", Kind.TOOL_ABUSE, _LOCAL_SECRET, "a place where a machine keeps its secrets"),
    ("role-field", Kind.DELIMITER, _ROLE_FIELD, "a message with a privileged role within a text"),
    ("broken-out", Kind.DELIMITER, _BROKEN_OUT, "the end of a part that the text did not begin"),
    ("ruled-border", Kind.DELIMITER, _RULED, "a border that pretends that another part begins"),
    ("privileged-tag", Kind.DELIMITER, _PRIVILEGED_TAG, "a mark of a privileged part"),
)
# Without one of these in small letters a mark cannot be there.
_NEEDLES = {
    "role-inside": ("role",),
    "role-field": ("role",),
    "local-secret": ("file:", "169.254", "metadata.", "/proc", "/etc/", "id_rsa", "~/.", "os.environ"),
    "broken-out": ("</",),
    "ruled-border": ("=", "#", ">", "*", "<", "_", "~", "[", "--"),
    "privileged-tag": ("<", "["),
}


# Marks and single places that harmless texts have, too: they are weighed, but agree with nothing.
_WEAK = frozenset({"template-token", "ruled-border", "role-field", "secret-sent", "local-secret", "privileged-tag"})
# Of the hand-written harmless texts 2 in 100 have two rules that agree, of the attacks 18.
AGREEING = 2


def agreeing(held: Sequence[Match]) -> int:
    """Return how many different rules hold of a piece, besides weak ones and what is quoted."""
    return len({match.name for match in held if not match.quoted} - _WEAK)


def matches(text: str, cues: Sequence[Cue], surface: Surface) -> list[Match]:
    """Return the rules that hold of a piece."""
    return [*_of_cues(cues, surface), *_of_marks(text, surface)]


def _of_cues(cues: Sequence[Cue], surface: Surface) -> Iterator[Match]:
    present = {cue.concept for cue in cues}
    for rule in RULES:
        if surface not in rule.surfaces or not all(present & names for names in rule.cues):
            continue
        for quoted in (False, True):
            found = _first(rule, [cue for cue in cues if cue.quoted == quoted])
            if found is not None:
                yield Match(rule.name, rule.kind, *found, rule.reason, quoted)


def _first(rule: Rule, cues: Sequence[Cue]) -> tuple[int, int] | None:
    for cue in cues:
        if cue.concept not in rule.cues[0]:
            continue
        around = [
            other
            for other in cues
            if abs(other.start - cue.start) <= rule.reach and (rule.anywhere or other.sentence == cue.sentence)
        ]
        if rule.without and any(other.concept in rule.without for other in around):
            continue
        taken = [cue]
        for names in rule.cues[1:]:
            other = next((one for one in around if one.concept in names and one.start != cue.start), None)
            if other is None:
                break
            taken.append(other)
        else:
            return min(one.start for one in taken), max(one.end for one in taken)
    return None


def _of_marks(text: str, surface: Surface) -> Iterator[Match]:
    if surface is Surface.OUTPUT:
        yield from _of_answers(text)
        return
    tokens = special_tokens(text)
    if tokens:
        bare = [token for token in tokens if text[max(0, token.start - 1) : token.start] not in {'"', "'", "`"}]
        yield Match(
            "template-token", Kind.CHAT_TEMPLATE, tokens[0].start, tokens[-1].end, "tokens of a chat template", not bare
        )
    roles = list(_ROLE_LINE.finditer(text)) if text.count(":") >= 2 else []
    if len(roles) >= 2:
        yield Match(
            "turns", Kind.CHAT_TEMPLATE, roles[0].start(), roles[-1].end(), "turns of a conversation within a text"
        )
    low = text.lower()
    for name, kind, pattern, reason in _MARKED:
        if any(needle in low for needle in _NEEDLES[name]) and (one := pattern.search(text)):
            yield Match(name, kind, one.start(), one.end(), reason)
    if ("<" in text or "(" in text) and (one := _UNSEEN.search(text)):
        yield Match("unseen-text", Kind.HIDDEN_TEXT, one.start(), one.end(), "text that a person does not see")
    if surface in _READ:
        for carrier in carriers(text, bare=False):
            if "to be filled" in carrier.reason:
                yield Match("address-to-fill", Kind.EXFILTRATION, carrier.start, carrier.end, carrier.reason)
                break


def _of_answers(text: str) -> Iterator[Match]:
    for carrier in carriers(text, bare=False):
        if carrier.reason:
            yield Match("telling-address", Kind.EXFILTRATION, carrier.start, carrier.end, carrier.reason)
            break
    one = _LEAKED.search(text)
    if one and _IS_GIVEN.search(text, one.end()) and not _REFUSES.search(text, 0, one.start() + 1):
        yield Match("told-prompt", Kind.LEAK, one.start(), len(text), "the answer tells the instructions")
