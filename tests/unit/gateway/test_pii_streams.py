"""Pseudonyms and redaction in streams: wherever the pieces are cut, what comes out is the same, and nothing leaks."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_gateway.adapters.guardrails.pii import detector
from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.pseudonyms import (
    Pseudonyms,
    PseudonymsExhausted,
    conversation_pseudonymised,
    key_of,
)
from penstock_gateway.domain.guardrails.pii.redaction import redacted
from penstock_gateway.domain.guardrails.pii.streams import (
    HOLD_BACK,
    HOLD_BACK_OF_A_WORD,
    ByteStream,
    RedactingStream,
    RestoringStream,
)

KEY = key_of(b"a secret of the tenant's", "conversation 1")
KEY_BLOCK = (
    "-----BEGIN "
    "PRIVATE KEY-----\n" + ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2 + "\n") * 14 + "-----END " + "PRIVATE KEY-----"
)
CANARIES = ("ada.quill@example.org", "+44 1632 960 431", "4539 1488 0343 6467", "198.51.100.77")
TEXT = (
    "Hello, you can mail me at ada.quill@example.org. Or call +44 1632 960 431 after six! My card is 4539 1488 0343 6467, and the "
    "host is 198.51.100.77.\n"
    + "It rained all day and nobody came, so the meeting went on without us and then some more of it. " * 5
    + "\nBye: ada.quill@example.org"
)


def pieces(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


def through(stream, parts):
    return type(parts[0])().join([*(stream.feed(part) for part in parts), stream.end()])


@pytest.fixture(scope="module")
def find():
    return detector().findings


def test_findings_become_their_kinds():
    text = "mail a@b.example now"
    assert redacted(text, [Finding(Kind.EMAIL, 5, 16, 1.0)]) == "mail [EMAIL] now"
    assert redacted(text, []) == text


def test_what_an_original_is_called_it_is_called_always():
    first, second = Pseudonyms(KEY), Pseudonyms(KEY)
    made = first.pseudonym(Kind.EMAIL, "a@b.example")
    second.pseudonym(Kind.PERSON, "Zoe")
    assert made == second.pseudonym(Kind.EMAIL, "a@b.example") == first.pseudonym(Kind.EMAIL, "a@b.example")
    assert re.fullmatch(r"[a-z2-7]{10}@mail\.invalid", made)
    assert (
        Pseudonyms(key_of(b"a secret of the tenant's", "conversation 2")).pseudonym(Kind.EMAIL, "a@b.example") != made
    )
    assert Pseudonyms(key_of(b"another", "conversation 1")).pseudonym(Kind.EMAIL, "a@b.example") != made
    assert len(first) == 1


def test_each_kind_has_a_form_of_its_own():
    names = Pseudonyms(KEY)
    made = {kind: names.pseudonym(kind, "x1") for kind in Kind}
    assert made[Kind.URL_WITH_TOKEN].startswith("https://link.invalid/")
    assert made[Kind.PERSON].startswith("Person-")
    assert made[Kind.IBAN].startswith("IBAN-")
    assert len(set(made.values())) == len(Kind)
    # Nothing of a pseudonym is found as personal data of another kind once it is sent again.
    assert not Detector().findings(" ".join(made[kind] for kind in Kind if kind is not Kind.EMAIL))


def test_no_pseudonym_is_an_original_or_begins_another(monkeypatch):
    names = Pseudonyms(KEY)
    taken = names.pseudonym(Kind.PERSON, "Zoe")
    monkeypatch.setattr(Pseudonyms, "_code", lambda self, kind, original, turn: taken[len("Person-") :])
    with pytest.raises(PseudonymsExhausted, match="person"):
        names.pseudonym(Kind.PERSON, "Yan")


def test_what_was_found_once_is_replaced_wherever_it_stands_again():
    names = Pseudonyms(KEY)
    first = names.pseudonymised("I am Zoe Hart", [Finding(Kind.PERSON, 5, 13, 1.0)])
    again = names.pseudonymised("So Zoe Hart left; Zoe Hartmann didn't.", [])
    assert "Zoe Hart" not in first
    assert again.startswith("So " + first[5:] + " left; Zoe Hartmann")
    assert names.restored(again) == "So Zoe Hart left; Zoe Hartmann didn't."


def test_a_conversation_that_goes_on_stays_as_it_was(find):
    turns = ["I'm Zoe Hart, zoe@example.org.", "Hello Zoe Hart!", "Call +44 1632 960 431. Zoe Hart", "Done."]
    whole = conversation_pseudonymised(turns, find, Pseudonyms(KEY))
    for length in range(1, len(turns) + 1):
        names = Pseudonyms(KEY)
        made = conversation_pseudonymised(turns[:length], find, names)
        assert made == whole[:length]
        assert [names.restored(text) for text in made] == turns[:length]


def answered():
    """Return pseudonyms, an answer that holds them, and what it says once restored."""
    names = Pseudonyms(KEY)
    originals = ("ada.quill@example.org", "Zoë 山田", "+44 1632 960 431", "https://a.example/?token=x9Y8z7")
    kinds = (Kind.EMAIL, Kind.PERSON, Kind.PHONE, Kind.URL_WITH_TOKEN)
    made = [names.pseudonym(kind, original) for kind, original in zip(kinds, originals, strict=True)]
    told = "Née {}, {}{} — {}? {} {}".format(*made, made[0], made[1][:-1])
    return names, told, "Née {}, {}{} — {}? {} {}".format(*originals, originals[0], made[1][:-1])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, 1000])
def test_each_pseudonym_is_restored_wherever_bytes_are_cut(size):
    names, told, wanted = answered()
    assert through(ByteStream(RestoringStream(names.originals)), pieces(told.encode(), size)).decode() == wanted


def test_each_pseudonym_is_restored_at_every_cut_in_two():
    names, told, wanted = answered()
    raw = told.encode()
    for cut in range(1, len(raw)):
        assert through(ByteStream(RestoringStream(names.originals)), [raw[:cut], raw[cut:]]).decode() == wanted


def test_the_restorer_holds_back_less_than_a_pseudonym():
    names, told, _ = answered()
    stream, left = RestoringStream(names.originals), 0
    assert stream.hold_back == names.hold_back == max(map(len, names.originals)) - 1
    for came, sign in enumerate(told, 1):
        left += len(stream.feed(sign))
        assert came - left <= stream.hold_back + max(map(len, names.originals.values()))
    assert RestoringStream({}).feed("as it is") == "as it is"
    plain = RestoringStream(names.originals)
    assert plain.feed("nothing to see here; ") == "nothing to see here; "


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_redaction_is_the_same_however_it_is_cut(sizes, seed):
    dice = random.Random(seed)
    parts, start = [], 0
    while start < len(TEXT):
        size = dice.choice(sizes)
        parts.append(TEXT[start : start + size])
        start += size
    rules = Detector().findings
    assert through(RedactingStream(rules), parts) == through(RedactingStream(rules), [TEXT])


def test_nothing_leaves_at_any_cut_in_two(find):
    wanted = through(RedactingStream(find), [TEXT])
    assert not any(canary in wanted for canary in CANARIES)
    assert wanted.count("[EMAIL]") == 2
    for cut in range(1, len(TEXT), 29):
        stream = RedactingStream(find)
        first, rest = stream.feed(TEXT[:cut]), stream.feed(TEXT[cut:]) + stream.end()
        assert first + rest == wanted
        assert not any(canary[:8] in first for canary in CANARIES)


def test_the_redactor_holds_back_no_more_than_it_says():
    stream, left = RedactingStream(lambda text: []), 0
    for came, sign in enumerate(TEXT.replace(".", "").replace("!", "").replace("\n", " "), 1):
        left += len(stream.feed(sign))
        assert came - left <= HOLD_BACK
    word = RedactingStream(lambda text: [])
    left = sum(len(word.feed("x")) for _ in range(HOLD_BACK_OF_A_WORD * 2))
    assert left >= HOLD_BACK_OF_A_WORD


@pytest.mark.parametrize("size", [1, 3, 17, 100, 5000])
def test_a_private_key_never_leaves(size):
    text = f"Here it is:\n{KEY_BLOCK}\nPlease rotate it. Thanks a lot."
    out = through(RedactingStream(Detector().findings), pieces(text, size))
    assert out == "Here it is:\n[API_KEY]\nPlease rotate it. Thanks a lot."


@pytest.mark.parametrize("size", [1, 9, 400])
def test_a_private_key_that_breaks_off_takes_no_sentence_with_it(size):
    head = KEY_BLOCK[: len(KEY_BLOCK) // 2]
    assert through(RedactingStream(Detector().findings), pieces(head, size)) == "[API_KEY]"
    text = "The file begins with " + KEY_BLOCK.splitlines()[0] + " and I read no further, sorry."
    out = through(RedactingStream(Detector().findings), pieces(text, size))
    assert out == "The file begins with [API_KEY] and I read no further, sorry."


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_a_long_link_is_one_finding(size):
    link = "https://files.example.org/d?token=" + "aB3dE5fG7h" * 60
    out = through(RedactingStream(Detector().findings), pieces(f"See {link} before noon.", size))
    assert out == "See [URL_WITH_TOKEN] before noon."


def test_bytes_that_are_no_characters_do_no_harm():
    stream = ByteStream(RestoringStream({"Person-ABCDEFGHI2": "Zoë"}))
    assert stream.feed(b"\xff Person-ABCDEFGHI") + stream.feed(b"2\xc3") + stream.end() == "� Zoë�".encode()


def test_rules_look_back_at_what_has_left():
    stream = RedactingStream(Detector().findings)
    first = stream.feed("This is my telefon, mobile:\nso ")
    assert first.startswith("This is my telefon")
    assert first + stream.feed("601 555 088 it is") + stream.end() == "This is my telefon, mobile:\nso [PHONE] it is"


def test_what_may_go_on_behind_a_line_is_held():
    def grows(text):
        return [Finding(Kind.ADDRESS, one.start(), one.end(), 1.0) for one in re.finditer("AAAA(\nBBBB)?", text)]

    for size in (1, 2, 5, 50):
        assert through(RedactingStream(grows), pieces("at AAAA\nBBBB now", size)) == "at [ADDRESS] now"
