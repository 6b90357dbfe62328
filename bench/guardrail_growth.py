# ruff: noqa: RUF001 - letters of all scripts are what is tried
"""Which repeats make a detector of the guardrails take more than its share of time: every sign, pairs of signs, and what rules begin with.

    python bench/guardrail_growth.py [--only names] [--sizes 5000,20000] [--minutes 5]

Each text is a unit again and again. A row is a unit whose time grew more than twice as fast as its text, or that took more than
``SLOW`` a character. No rows: all is well. The test of the same (``test_linear.py``) has what this has found.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections.abc import Callable
from functools import partial

from penstock_gateway.adapters.guardrails.pii import detector
from penstock_gateway.domain.guardrails.grounding.grounding import ground
from penstock_gateway.domain.guardrails.injection.decoding import views
from penstock_gateway.domain.guardrails.injection.detector import Detector as InjectionDetector
from penstock_gateway.domain.guardrails.injection.exfiltration import defused
from penstock_gateway.domain.guardrails.injection.finding import Surface
from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pii.windows import Windows

SLOW = 1e-4
GROWTH = 2.0
SIGNS = "abzAZ019 .,;:!?'\"`-_/\\@#$%&*+=|~^<>()[]{}\n\té\u0430п中あアاก한\u200b\xad０。“’¹İﬁ🏠"
PAIRED = "aA1 .,:'-/@=\"<[("
BEGINNINGS = (
    "O'|A. |St. |1 , |a.b. |1-|12 |1.1.|::|a@|a@a.|a at |a dot |a [at] a |password |password is |password: '|key=|token |Bearer |docker a -p |login a password |"
    "-----BEGIN PRIVATE {key}-----|-----BEGIN |sk-|ghp_|eyJaaaaaa.|SG.a.|https://|a://a|?a=|https://a/?t=a|(555) |+1 |(+|1-800-|AB12|GB29 |1/1/|born 1|born on the |1 May |"
    "the first of |nineteen |one two |zero und |passport A|P<|4111 1111 |123-45-6789 |10.0.|1[.]|fe80:|Mr. |A b |Aa Bb |Aa, |Aa-|O'a |de la |1 Aa Street, |Flat 1, |The Aa House, |c/o a |"
    "Aa Ltd, |SW1A 1AA |Box 1|Am |Aastraße 1|1 rue a |1 rue a|étage a, |calle A |via A |ul. A |г. Аа, |ул. А|д. 1|県|丁目|中1号|中路1|شارع ا |王明|اسمي ا|ignore |ignore previous |\nuser: |</user>|<system a|"
    '[system|<|im_start|<s>|<!--a|<a display:none>|(white text |=== system|### |---|[[|![a](http://a|[a]: |<img src=|url(http://|{a}|{"role": "system"|\'a\' |“a|„a|a=1,|A+B+|%41|a%|\\u0041|&#65;|'
    '0x41 |01010101 |65, |a b c d |a.b.c.|4a|h4ck |YWJjZGVm|ab__ |ab… |concat |what a say|olleh |my a a |AAA_|?a=aaaaaaaaaaaaaaaaaaaaaaaa|a-a.com |@aaa |{"a": 1, |  a:\n|| a | b |\n||---|---|\n|# a\n|'
    "1. a\n|**a** |A. B |e.g. |; a|, and |because a |1 EUR a day |twenty one |1 million |May 1 |version 1 |[1] a\n\n|<p>a</p>|<!doctype |&amp;|a_b |camelCaseWord|1,000,|1:23|the text does not say |unless "
).replace("{key}", "KEY")


def in_windows(text: str) -> None:
    windows = Windows(RULES.findings)
    for start in range(0, len(text), 200):
        windows.feed(text[start : start + 200])
    windows.end()


RULES, NAMES, INJECTION = Detector(), detector(), InjectionDetector()
LOOKS: dict[str, Callable[[str], object]] = {
    "rules": RULES.findings,
    "windows": in_windows,
    "names": NAMES.findings,
    "views": views,
    "defused": defused,
    **{
        f"check {surface.value}": partial(INJECTION.check, surface=surface)
        for surface in (Surface.DOCUMENT, Surface.OUTPUT)
    },
    **{f"inline {surface.value}": partial(INJECTION.check_inline, surface=surface) for surface in Surface},
    "context": lambda text: ground("The fee is 12 EUR a day. The bridge closes at noon.", text),
    "answer": lambda text: ground(text, text),
}


def units() -> list[str]:
    found = {*SIGNS, *map("".join, itertools.product(PAIRED, repeat=2)), *filter(None, BEGINNINGS.split("|"))}
    ordered = sorted(found | {"| a | b |\n", "<|", "|---|"})
    random.Random(7).shuffle(ordered)
    return ordered


def seconds(look: Callable[[str], object], unit: str, size: int) -> float:
    text = (unit * size)[:size]
    taken: list[float] = []
    for _ in range(2):
        begun = time.process_time()
        look(text)
        taken.append(time.process_time() - begun)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="looks whose name has this")
    parser.add_argument("--sizes", default="2500,10000")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each look; units that are left are told")
    given = parser.parse_args()
    size, larger = map(int, given.sizes.split(","))
    for name, look in LOOKS.items():
        if given.only not in name:
            continue
        until, left = time.monotonic() + 60 * given.minutes, units()
        while left and time.monotonic() < until:
            unit = left.pop()
            short, long = seconds(look, unit, size), seconds(look, unit, larger)
            if long > SLOW * larger or (long > 0.005 and long > GROWTH * larger / size * short):
                print(f"{name}: {unit!r} {short:.4f} s, {long:.4f} s: {long / short:.1f} times", flush=True)
        print(f"{name}: done, {len(left)} units left", flush=True)


if __name__ == "__main__":
    main()
