"""Pseudonyms are told by their form, and originals by their first word, as a pattern of all of them would tell them."""

from __future__ import annotations

import random
import re
import sys
from itertools import permutations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from pipeline_world import entered, guarding_of, said

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.forms import CODE_LENGTH, formed, forms_in, restored
from penstock_gateway.domain.guardrails.pii.pseudonyms import Pseudonyms

CODE, OTHER = "abcdefg234", "zyxwvut765"
assert len(CODE) == CODE_LENGTH


def test_each_kind_has_a_form_and_none_begins_with_another():
    made = [formed(kind, code) for kind in Kind for code in (CODE, OTHER)]
    assert not [pair for pair in permutations(made, 2) if pair[0].startswith(pair[1])]
    for one in made:
        assert [*forms_in(f"of {one}, {one}.")].count(one) == 2
        assert restored(f"of {one}{one}", {one: "X"}) == "of XX"
        assert restored(f"of {one}", {}) == f"of {one}"


def test_what_only_looks_like_a_pseudonym_hides_none():
    real = formed(Kind.PHONE, CODE)
    assert restored(f"PHONE-ABCDE{real}", {real: "X"}) == "PHONE-ABCDEX"


def test_no_pseudonym_is_given_that_an_original_holds():
    names = Pseudonyms(b"k" * 32)
    taken = Pseudonyms(b"k" * 32).pseudonym(Kind.PERSON, "Zoe Hart")
    names.pseudonym(Kind.ADDRESS, f"the house of {taken}, left")
    assert names.pseudonym(Kind.PERSON, "Zoe Hart") != taken


def test_originals_are_known_again_as_by_a_pattern_of_all():
    dice = random.Random(5)
    for _ in range(300):
        names = Pseudonyms(b"k" * 32)
        originals = {"".join(dice.choices("ab1 -+_\u00e9", k=dice.randint(3, 7))) for _ in range(dice.randint(1, 9))}
        originals = {one for one in originals if any(map(str.isalnum, one))}
        for one in originals:
            names.pseudonym(Kind.PERSON, one)
        text = "".join(dice.choice([*originals, *"ab1 -+_", " "]) for _ in range(20))
        found = [Finding(Kind.EMAIL, at, at + 2, 1.0) for at in range(0, len(text) - 2, 9)]
        for findings in ([], found):
            pattern = "|".join(map(re.escape, sorted(originals, key=len, reverse=True))) or "(?!)"
            known = [one.span() for one in re.finditer(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", text)]
            known = [(a, b) for a, b in known if not any(one.start < b and a < one.end for one in findings)]
            again = [(one.start, one.end) for one in names._again(text, findings) if one not in findings]
            assert again == known


async def test_many_names_are_given_as_few_are():
    rules = {"names": {"kind": "pii", "action": "pseudonymise", "types": ["email"]}}
    mails = [f"a{at}@example.com" for at in range(300)]
    few, many = guarding_of(rules, input=["names"]), guarding_of(rules, input=["names"])
    (told,) = await entered(many, said(" ".join(mails)))
    assert told.text == " ".join([(await entered(few, said(one)))[0].text for one in mails])
    assert many.pseudonyms.restored(told.text) == " ".join(mails)
