"""What stays of a context for a question, over formats that tools and retrieval really give."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_gateway.domain.compression.documents import documents_in, introduction_of
from penstock_gateway.domain.compression.extraction import extract, passages_of, read, shortened, without_duplicates
from penstock_gateway.domain.compression.quoted import quoted_in
from penstock_gateway.domain.compression.units import Kind, units_of

FERRIES = """[1] Source: ferry-north.md | Ferry North, timetable 2031
# Ferry North, timetable 2031

## Fares

An adult pays 14 EUR. Children under seven travel free. A bicycle costs 4 EUR more.

## Pets

Dogs stay on the open deck. A kennel can be booked for 9 EUR, and holds one animal of up to 30 kilos.

[2] Source: ferry-south.md | Ferry South, timetable 2031
# Ferry South, timetable 2031

## Fares

An adult pays 21 EUR. Children under seven travel free. A bicycle costs 6 EUR more.

## Pets

Dogs stay on the open deck. A kennel can be booked for 12 EUR, and holds one animal of up to 30 kilos.

[3] Source: museum.txt | The harbour museum
The museum is open from ten to five. On Mondays it is closed. The cafe sells soup and cake.
Groups of more than twelve book a week ahead. The lift is out of order until June.
"""
CHAT = """2031-03-02 09:01 mira: morning all
2031-03-02 09:04 jon: I moved the Osprey rollout from Tuesday to Thursday since the certificate isn't there yet
2031-03-02 09:05 ravi: who orders the certificate and when will it be there?
2031-03-02 09:07 ravi: by the way the load test peaked at 4,200 requests a second
2031-03-02 09:12 jon: lunch at the Thai place at the corner of the market square?
2031-03-02 09:40 jon: the old cluster is switched off on the 20th, please move your cron jobs
2031-03-02 09:50 petra: who has the key of the meeting room on floor 3?"""
HOTEL = (
    "<html><body><h1>Hotel Aurora</h1><h2>Rooms</h2><p>We have 42 rooms. Each has a balcony. The suites look at the "
    "lake.</p><h2>Pets</h2><p>Dogs are welcome for 12 EUR a night. Cats are not.</p><h2>Spa</h2><table><tr><th>Offer</th>"
    "<th>Price</th></tr><tr><td>Sauna</td><td>free</td></tr><tr><td>Massage</td><td>85 EUR</td></tr></table></body></html>"
)
HOUSE = """# Hausordnung

## Müll
Die Restmülltonne wird jeden zweiten Mittwoch geleert. Papier kommt in die blaue Tonne.

## Waschküche
Jede Partei hat einen festen Waschtag. Der Trockner kostet 1,50 Euro.

## Garten
Grillen ist nur auf dem Rasen hinter dem Haus erlaubt, bis 21 Uhr. Das Beet gehört allen."""
STATIONS = [
    {"city": city, "temp_c": temp, "operator": name}
    for city, temp, name in (("Oslo", -3, "Berg"), ("Riga", -4, "Ozols"), ("Rome", 15, "Rossi"), ("Prague", 1, "Novak"))
]
LINES = "\n".join(json.dumps(one) for one in STATIONS)
ARRAY = json.dumps({"results": STATIONS, "total": 4})
XML = """<documents>
<document index="1">
<source>lifts.md</source>
The goods lift carries 800 kilos. It is serviced in May.
</document>
<document index="2">
<source>keys.md</source>
Lost keys cost 40 EUR. The porter has spare ones until eight.
</document>
<document index="3">
<source>bikes.md</source>
Bicycles stand in the yard. Old ones are taken away in spring.
</document>
</documents>"""


def compressed(text, question, keep=0.5):
    reading = read(text)
    spans = extract(reading, question, keep)
    assert spans is not None
    return shortened(text, spans)


@pytest.mark.parametrize(
    ("text", "question", "stays", "goes"),
    [
        (FERRIES, "What does a kennel cost on Ferry South?", "A kennel can be booked for 12 EUR", "The lift is out of order"),
        (FERRIES, "When is the museum closed?", "On Mondays it is closed.", "A bicycle costs 6 EUR more."),
        (CHAT, "How many requests a second did the load test reach?", "peaked at 4,200 requests", "Thai place"),
        (HOTEL, "How much is a massage?", "<tr><td>Massage</td><td>85 EUR</td></tr>", "Each has a balcony."),
        (HOUSE, "Bis wann darf man grillen?", "bis 21 Uhr", "Die Restmülltonne wird"),
        (LINES, "Who operates the station in Riga?", '"operator": "Ozols"', '"Rossi"'),
        (ARRAY, "Who operates the station in Riga?", '"operator": "Ozols"', '"Rossi"'),
        (XML, "How much is a lost key?", "Lost keys cost 40 EUR.", "Old ones are taken away"),
    ],
)  # fmt: skip
def test_what_answers_stays_and_something_else_goes(text, question, stays, goes):
    made = compressed(text, question)
    assert stays in made
    assert goes not in made
    assert len(made) < 0.7 * len(text)


def test_headings_and_the_document_of_what_stays_stay_with_it():
    made = compressed(FERRIES, "What does a kennel cost on Ferry South?", keep=0.35)
    assert (
        made.index("[2] Source: ferry-south.md")
        < made.index("## Pets")
        < made.index("A kennel can be booked for 12 EUR")
    )
    assert (
        introduction_of(FERRIES, FERRIES.index("12 EUR")) == "[2] Source: ferry-south.md | Ferry South, timetable 2031"
    )


def test_the_head_of_a_table_stays_with_its_rows():
    table = "| Bin | Day |\n|---|---|\n" + "".join(
        f"| {name} | day {at} |\n" for at, name in enumerate(["paper", "glass", "metal", "wood"])
    )
    assert compressed(table, "On which day is the glass bin emptied?").startswith("| Bin | Day |\n|---|---|\n")


def test_the_next_of_kin_is_told_by_what_introduces_it():
    north, south = (
        compressed(FERRIES, f"What does an adult pay on Ferry {way}?", keep=0.3) for way in ("North", "South")
    )
    assert "An adult pays 14 EUR." in north and "An adult pays 21 EUR." not in north
    assert "An adult pays 21 EUR." in south and "An adult pays 14 EUR." not in south


CODE = "```python\ndef total(prices):\n    # Cents.\n    return sum(prices)\n```"


def test_code_stays_whole_where_nothing_says_that_it_is_another_document():
    text = f"The cellar is dry. The roof leaks in autumn.\n\n{CODE}\n\n" + "The garden is large and has a pond. " * 20
    assert CODE in compressed(text, "When does the roof leak?", keep=0.2)


def test_code_stays_whole_or_goes_with_its_document():
    text = f"[1] Source: a.md\nThe roof leaks in autumn. The cellar is dry.\n\n{CODE}\n\n[2] Source: b.md\nThe pond is deep.\n\n{CODE}\n"
    made = compressed(text, "When does the roof leak?", keep=0.6)
    assert made.count(CODE) == 1
    assert "[2]" not in made


def test_a_source_file_is_one_unit():
    text = "import os\n\nROOM = 4\n\ndef rooms(doors):\n    return [door for door in doors\n        if door.leads]\n"
    (unit,) = units_of(text, documents_in(text))
    assert unit.kind is Kind.CODE


def test_a_gap_within_a_document_is_marked():
    made = compressed(FERRIES, "What does a kennel cost on Ferry South?", keep=0.35)
    assert "[…]" in made


def test_nothing_is_kept_by_chance_where_the_question_meets_nothing():
    assert extract(read(FERRIES), "¿?", 0.5) is None
    assert extract(read(FERRIES), "Quantum chromodynamics", 0.5) is None


def test_meaning_can_prefer_a_document_that_shares_no_word():
    reading = read(XML)
    spans = extract(reading, "How do I replace what unlocks my flat?", 0.4, [0.0, 0.0, 0.9, 0.1])
    assert "Lost keys" in shortened(XML, spans)
    assert len(passages_of(reading)) == len(documents_in(XML))


def test_what_is_said_twice_stays_once_in_its_first_place():
    rule = "Whoever leaves the building last switches the light off and locks both of the doors."
    text = f"[1] Source: a.md\n{rule}\nThe yard is swept on Fridays.\n\n[2] Source: b.md\n{rule}\nThe bins stand by the gate.\n"
    made = shortened(text, without_duplicates(read(text)))
    assert made.count(rule) == 1
    assert "[2] Source: b.md" in made and "The bins stand by the gate." in made


def test_a_document_that_came_twice_goes_with_what_introduces_it():
    body = "The harbour is frozen from January to March in most years, and ships wait outside of it."
    text = f"[1] Source: a.md\n{body}\n\n[2] Source: a.md\n{body}\n"
    assert "[2]" not in shortened(text, without_duplicates(read(text)))


@pytest.mark.parametrize("text", [FERRIES, CHAT, HOTEL, HOUSE, LINES, ARRAY, XML])
def test_units_are_in_order_and_leave_out_only_white_space(text):
    last = 0
    for unit in units_of(text, documents_in(text)):
        assert last <= unit.start < unit.end
        assert not text[last : unit.start].strip()
        last = unit.end
    assert not text[last:].strip()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(
            ["[1] a", "# b", "- c d", "| e | f |", "|---|---|", "```", "g. H i!", "", "<p>j</p>", "k:", '{"l": 1}', "[", "]", " m"]
        ),
        max_size=14,
    ).map("\n".join),
    st.floats(0.1, 1.0),
)  # fmt: skip
def test_whatever_comes_what_stays_is_verbatim_and_in_order(text, keep):
    reading = read(text)
    spans = extract(reading, "a b c e g j l", keep)
    at = 0
    for start, end in spans or ():
        assert at <= start < end <= len(text)
        at = end
    assert extract(read(text), "a b c e g j l", keep) == spans
    assert sum(reading.costs) >= 0


QUESTION = "How much is a lost key?"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (f"{XML}\n\n{QUESTION}", QUESTION),
        (f"{QUESTION}\n\n{XML}", QUESTION),
        (f"Use these:\n\n{FERRIES}\n{QUESTION}", f"Use these:\n{QUESTION}"),
    ],
)
def test_the_users_own_words_around_quoted_documents_are_found(text, question):
    quoted = quoted_in(text)
    assert quoted.question_in(text) == question
    assert QUESTION not in text[quoted.start : quoted.end]


@pytest.mark.parametrize("text", ["", "How are you?", "# A note\n\nMy cat is ill.\n\nWhat now?", "[1] is what I mean"])
def test_what_does_not_clearly_quote_documents_is_the_users_own(text):
    assert quoted_in(text) is None


FENCED = [
    ("[1] a\n```\n[2] b\n```\n[3] c", [1, 3]),
    ("[1] a\n```\n[2] b\n[3] c", [1, 2, 3]),
    ("[1] a\n````md\n```\n[2] b\n```\n[3] c\n````\n[4] d", [1, 4]),
    ("[1] a\n```\n[2] b\n~~~\n[3] c", [1, 2, 3]),
    ("[1] a\n```\n[2] b\n`````  \r\n[3] c", [1, 3]),
    ("[1] a\n````\n[2] b\n```\n[3] c\n```\n[4] d", [1, 2, 4]),
]


@pytest.mark.parametrize(("text", "documents"), FENCED)
def test_what_stands_within_fences_begins_no_document(text, documents):
    found = [text[each.start : each.body] for each in documents_in(text)]
    assert [int(each[1]) for each in found] == documents


@pytest.mark.parametrize("line", ["```x\n", "~~~ x\n", "```x\n````y\n"])
def test_fences_that_nobody_closes_are_looked_at_once_each(line):
    text = "[1] a\n" + line * 40_000 + "[2] b\n"
    assert [each.start for each in documents_in(text)] == [0, len(text) - len("[2] b\n")]
