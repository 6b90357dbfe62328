"""Reads the validation texts: marked spans, and well-formed made-up values in the place of what braces ask for."""

from __future__ import annotations

import random
import re
import string
from pathlib import Path
from typing import Any

_SPAN = re.compile(r"\[\[(\w+):(.*?)\]\](?!\])", re.DOTALL)
_VALUE = re.compile(r"\{(c|i|s9|s_|s|p|k|h|f)(?::([^{}]*))?\}")
_IBANS = {"DE": 18, "GB": -18, "NO": 11, "FR": 23, "NL": -14, "ES": 20, "IT": 23, "PL": 24, "SE": 20, "BE": 12}


def check_digit(digits: str) -> str:
    """Return Luhn's check digit for the digits."""
    total = sum(int("0246813579"[int(each)] if place % 2 == 0 else each) for place, each in enumerate(reversed(digits)))
    return str(-total % 10)


def card(prefix: str, length: int, form: str, dice: random.Random) -> str:
    """Return a card number: four digits together with a space (4), a hyphen (-), or as American Express writes it."""
    digits = prefix + "".join(dice.choices("0123456789", k=length - len(prefix) - 1))
    digits += check_digit(digits)
    if form == "amex":
        return f"{digits[:4]} {digits[4:10]} {digits[10:]}"
    mark = {"4": " ", "-": "-"}.get(form)
    return digits if mark is None else mark.join(re.findall(".{1,4}", digits))


def iban(country: str, form: str, dice: random.Random) -> str:
    """Return an IBAN that fits its check digits."""
    length = _IBANS[country]
    bban = "".join(dice.choices("0123456789", k=abs(length)))
    if length < 0:
        bban = "ABNX" + bban[4:]
    rest = int("".join(str(int(each, 36)) for each in bban + country + "00")) % 97
    written = f"{country}{98 - rest:02d}{bban}"
    return " ".join(re.findall(".{1,4}", written)) if form else written


def _made(match: re.Match[str], dice: random.Random) -> str:
    what, given = match[1], (match[2] or "").split(",")
    if what == "c":
        return card(given[0], int(given[1]), given[2] if len(given) > 2 else "", dice)
    if what == "i":
        return iban(given[0], given[1] if len(given) > 1 else "", dice)
    if what == "f":
        plain = card("4", 16, "4", dice)
        return "".join(chr(ord(each) + 0xFEE0) if each.isdigit() else each for each in plain)
    if what[0] == "s":
        mark = {"s": "-", "s9": "", "s_": " "}[what]
        return f"{dice.randint(774, 899)}{mark}{dice.randint(10, 99)}{mark}{dice.randint(1000, 9999)}"
    if what == "p":
        return re.sub("#", lambda _: str(dice.randint(0, 9)), match[2] or "").strip()
    signs = "0123456789abcdef" if what == "h" else string.ascii_letters + string.digits
    prefix, length = ("", int(given[0])) if what == "h" else (given[0], int(given[1]))
    body = "".join(dice.choices(signs, k=max(3, length - 3)))
    return prefix + body + ("7b2" if what == "h" else "k7Q")[: max(0, length - len(body))]


def read(path: Path, seed: int = 17) -> list[dict[str, Any]]:
    """Return the texts with their entities, as the development set has them."""
    dice = random.Random(seed)
    found: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        lang, _, marked = line.partition("|")
        marked = _VALUE.sub(lambda match: _made(match, dice), marked.replace("\\n", "\n"))
        text, entities, last = "", [], 0
        for match in _SPAN.finditer(marked):
            text += marked[last : match.start()]
            shown, _, value = match[2].partition("|")
            value = value or shown
            start = len(text) + shown.index(value)
            text += shown
            entities.append({"type": match[1], "start": start, "end": start + len(value), "value": value})
            last = match.end()
        found.append({"id": f"v{number}", "text": text + marked[last:], "entities": entities, "lang": lang})
    return found


if __name__ == "__main__":
    import json
    import sys

    for one in read(Path(sys.argv[1])):
        sys.stdout.write(json.dumps(one, ensure_ascii=False) + "\n")
