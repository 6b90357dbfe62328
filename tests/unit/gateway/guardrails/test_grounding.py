"""Whether an answer's claims are supported: verdicts, evidence, and what is read of contexts and of numbers."""

import random

import pytest

from penstock_gateway.domain.guardrails.grounding.claims import MAX_CLAIMS, claims_of
from penstock_gateway.domain.guardrails.grounding.context import Context, denials_in
from penstock_gateway.domain.guardrails.grounding.differences import rates_in, tells_silence
from penstock_gateway.domain.guardrails.grounding.features import NAMES
from penstock_gateway.domain.guardrails.grounding.grounding import (
    Label,
    Support,
    context_of,
    ground,
    is_mixed,
    judged_claims,
)
from penstock_gateway.domain.guardrails.grounding.learned import answer_probabilities, shares_of
from penstock_gateway.domain.guardrails.grounding.passages import Passage, passages_of, statements_of
from penstock_gateway.domain.guardrails.grounding.quantities import is_same, quantities_of
from penstock_gateway.domain.guardrails.grounding.text import words_of
from penstock_gateway.domain.guardrails.grounding.versions import allowed_for
from penstock_gateway.domain.guardrails.grounding.vocabulary import meanings_of, opposites_of, stem_of

SAUNA = """# Lakeside sauna

| Topic | Rule |
|---|---|
| Entry | 18 EUR, children 7 EUR |
| Longest stay | 4 hours |
| Towels | for rent, 3 EUR a piece |
| Phones | not allowed |

Pour water on the stones only with the ladle. The plunge pool is cleaned every 12 hours. Guests under 16 come with an adult.
"""
POOLS = """[1] Pool rules 2031, in force
Lane fee: 9 EUR. Caps are compulsory.

[2] Pool rules 2026 (replaced)
Lane fee: 6 EUR. Caps are optional.
"""


def texts(found):
    return [one.text.strip() for one in found]


def numbers(text):
    return [(one.size, one.dimension) for one in quantities_of(words_of(text))]


def test_what_the_context_says_is_grounded_with_its_evidence():
    found = ground("Entry costs 18 EUR. The plunge pool is cleaned every 12 hours.", SAUNA)
    assert found.label is Label.GROUNDED
    assert [one.support for one in found.claims] == [Support.SUPPORTED] * 2
    assert found.score > 0.7
    evidence = found.claims[1].evidence
    assert SAUNA[evidence.start : evidence.end] == evidence.text == "The plunge pool is cleaned every 12 hours."
    assert found.claims[1].text == "The plunge pool is cleaned every 12 hours."


def test_another_number_is_contradicted_and_the_rest_holds():
    found = ground("Entry costs 18 EUR. The plunge pool is cleaned every 36 hours.", SAUNA)
    assert found.label is Label.PARTLY
    right, wrong = found.claims
    assert (right.support, wrong.support) == (Support.SUPPORTED, Support.CONTRADICTED)
    assert "number 36 stands otherwise" in wrong.reasons


def test_what_is_nowhere_is_not_found():
    found = ground("The owner plans a rooftop restaurant with Peruvian cuisine.", SAUNA)
    assert found.label is Label.UNGROUNDED
    assert found.claims[0].support is Support.NOT_FOUND
    assert any(reason.startswith("not found: ") and "peruvian" in reason for reason in found.claims[0].reasons)


def test_what_is_forbidden_is_not_allowed():
    found = ground("Phones are allowed.", SAUNA)
    assert (found.label, found.claims[0].support) == (Label.UNGROUNDED, Support.CONTRADICTED)
    assert ground("Phones aren't allowed.", SAUNA).label is Label.GROUNDED


def test_that_nothing_is_said_holds_where_nothing_is_said():
    assert ground("The rules don't say whether massages are offered.", SAUNA).label is Label.GROUNDED
    assert ground("The rules don't mention towels.", SAUNA).label is Label.UNGROUNDED


def test_the_replaced_edition_does_not_support_what_holds_now():
    assert ground("The lane fee is 9 EUR.", POOLS).label is Label.GROUNDED
    assert ground("The lane fee is 6 EUR.", POOLS).label is not Label.GROUNDED
    assert ground("The lane fee used to be 6 EUR.", POOLS).label is Label.GROUNDED


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        ("Caps are compulsory.", {0}),
        ("In 2026 caps were optional.", {1}),
        ("Formerly caps were optional.", {1}),
        ("The fee went up from 6 to 9 EUR.", {0, 1}),
    ],
)
def test_a_claim_rests_on_the_edition_that_it_speaks_of(answer, allowed):
    (claim,) = claims_of(answer)
    assert allowed_for(claim, context_of(POOLS)) == allowed


def test_an_answer_that_claims_nothing_is_grounded():
    found = ground("  \n", SAUNA)
    assert (found.label, found.score, found.claims) == (Label.GROUNDED, 1.0, ())


def test_without_a_context_nothing_is_supported():
    found = ground("The sauna opens at ten.", "")
    assert (found.label, found.claims[0].evidence) == (Label.UNGROUNDED, None)


def test_passages_can_be_given_one_by_one():
    passages = [Passage("Bus 4", "It leaves every 20 minutes."), Passage("Bus 9", "It leaves every 45 minutes.")]
    assert ground("Bus 9 leaves every 45 minutes.", passages).claims[0].evidence.passage == 1


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        ("It opens at ten. It closes at six.", ["It opens at ten.", "It closes at six."]),
        ("Tea is free, and the cake costs 4 EUR.", ["Tea is free", "the cake costs 4 EUR."]),
        ("The lift is closed because the motor failed.", ["The lift is closed", "the motor failed."]),
        ("If it rains, the tour is cancelled.", ["If it rains, the tour is cancelled."]),
        ("It has 12 rooms and 3 kitchens.", ["It has 12 rooms", "3 kitchens."]),
        ("The chair was B. Olsen.", ["The chair was B. Olsen."]),
        ("- Tea is free.\n- Cake costs money.", ["- Tea is free.", "Cake costs money."]),
    ],
)
def test_an_answer_is_cut_into_what_can_be_true_by_itself(answer, claims):
    assert texts(claims_of(answer)) == claims


def test_claims_are_spans_of_the_answer_and_causes_are_known():
    answer = "The lift \u2019Otto\u2019 is closed, since the motor failed."
    for one in claims_of(answer):
        assert answer[one.start : one.end].replace("\u2019", "'") == one.text
    assert [one.is_cause for one in claims_of(answer)] == [False, True]


def test_a_long_answer_has_a_bounded_number_of_claims():
    found = claims_of(" ".join(f"Room {number} has {number} chairs." for number in range(1, 300)))
    assert len(found) == MAX_CLAIMS
    assert found[-1].text.endswith("Room 299 has 299 chairs.")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("90 minutes", [(5400.0, "seconds")]),
        ("one and 2 hours", [(7200.0, "seconds")]),
        ("twenty-five days", [(2160000.0, "seconds")]),
        ("30 working days", [(2592000.0, "seconds")]),
        ("half a year", [(15778476.0, "seconds")]),
        ("1,250.50 EUR", [(1250.5, "euros")]),
        ("2.4 million", [(2400000.0, "")]),
        ("14 per cent", [(14.0, "percent")]),
        ("9:30", [(570.0, "clock")]),
        ("3 May 2031", [(503.0, "date"), (2031.0, "year")]),
        ("-20 \u00b0C", [(-20.0, "degrees")]),
        ("version 4", [(4.0, "label")]),
        ("timeout 250ms", [(0.25, "seconds")]),
    ],
)
def test_numbers_are_read_with_what_they_measure(text, found):
    assert (
        numbers(text) == pytest.approx(found)
        if not found
        else [(pytest.approx(size), dimension) for size, dimension in found] == numbers(text)
    )


def test_numbers_of_other_units_may_be_the_same():
    def same(one, other):
        return is_same(quantities_of(words_of(one))[0], quantities_of(words_of(other))[0])

    assert same("14 days", "2 weeks")
    assert same("half of it", "50 %")
    assert same("8", "8 weeks")
    assert not same("10 minutes", "10 hours")
    assert not same("level 3", "3 days")


def test_a_key_gives_its_unit_to_the_number():
    (unit,) = context_of("retry_pause_ms: 400").units
    assert [(one.size, one.dimension) for one in unit.quantities] == [(pytest.approx(0.4), "seconds")]


def test_tables_lists_records_and_pages_are_read_with_what_they_stand_under():
    wide = "| Role | Read | Write |\n|---|---|---|\n| guest | yes | no |"
    assert [one.text for one in statements_of([Passage("", wide)])] == ["guest | Read: yes", "guest | Write: no"]
    page = "<html><h1>Tram</h1><dl><dt>Fare</dt><dd>3 EUR</dd></dl></html>"
    fare = statements_of([Passage("", page)])[-1]
    assert ("Fare" in fare.text, "3 EUR" in fare.text, [head.strip() for head in fare.heads]) == (True, True, ["Tram"])
    jobs = "jobs:\n  - name: sweep\n    hour: 3\n  - name: mend\n    hour: 5\nowner: ops\n"
    found = {one.text: one.heads for one in statements_of([Passage("", jobs)])}
    assert found["hour: 5"] == ("jobs:", "  - name: mend")


def test_a_context_says_itself_where_its_passages_begin():
    assert [one.title for one in passages_of(POOLS)] == [
        "[1] Pool rules 2031, in force",
        "[2] Pool rules 2026 (replaced)",
    ]
    assert [one.title for one in passages_of(SAUNA)] == [""]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Nobody may enter", 1),
        ("not only on Mondays", 0),
        ("no longer than a day", 0),
        ("it is no longer valid", 1),
        ("never unless asked", 2),
        ("Dogs are forbidden", 1),
    ],
)
def test_denials_are_counted(text, count):
    assert denials_in(words_of(text)) == count


def test_rates_and_silence():
    assert rates_in("4 EUR a week") == rates_in("weekly") == {"week"}
    assert rates_in("4 EUR a piece") == {stem_of("piece")}
    assert tells_silence(words_of("The page doesn't mention prices"))
    assert not tells_silence(words_of("The guide mentions prices"))
    assert not tells_silence(words_of("Don't say anything to the driver"))


def test_words_meet_by_root_meaning_and_opposite():
    assert stem_of("payments") == stem_of("paying") == stem_of("paid") == "pay"
    assert meanings_of(stem_of("vanish")) & meanings_of(stem_of("disappear"))
    assert stem_of("forbid") in opposites_of(stem_of("allow"))


def test_shares_are_probabilities_and_single_claims_can_hold_in_part():
    every, some, none = answer_probabilities([3.0, 3.0], is_mixed=False)
    assert every + some + none == pytest.approx(1)
    assert every == max(every, some, none)
    assert shares_of([4.0, -4.0], (0, 0, 0, 0), is_mixed=False)[1] > 0.9
    assert shares_of([0.0], (0, 0, 0, 2), is_mixed=True)[1] > shares_of([0.0], (0, 0, 0, 2), is_mixed=False)[1]
    assert shares_of([-80.0] * 60, (0, 0, 0, 0), is_mixed=False)[2] == pytest.approx(1)


def test_numbers_that_stand_differently_make_a_claim_mixed():
    context = context_of(SAUNA)
    assert is_mixed(judged_claims("Entry costs 18 EUR with towels at 9 EUR.", context))
    assert not is_mixed(judged_claims("Entry costs 18 EUR.", context))


def test_each_claim_has_all_features():
    (judged,) = judged_claims("Entry costs 18 EUR.", context_of(SAUNA))
    assert len(judged.features) == len(NAMES) == len(set(NAMES))


def test_any_text_is_read():
    random.seed(3)
    signs = "abc .,:;|#-*<>/[]{}()\"'\n\t0123456789%\u20ac\u00b0\u2019\u3002\u0416"
    for _ in range(150):
        context = "".join(random.choices(signs, k=200))
        found = ground("".join(random.choices(signs, k=80)), context)
        assert 0 <= found.score <= 1
        assert sum(found.probabilities.values()) == pytest.approx(1)


def test_what_grows_long_stays_linear_in_statements():
    context = Context([Passage("", "A ferry leaves every 20 minutes. " * 2000)])
    assert len(context.units) == 2000
    assert (
        ground("A ferry leaves every 20 minutes.", [Passage("", "A ferry leaves every 20 minutes. " * 2000)]).score
        > 0.5
    )
