"""Texts made of slots, and texts in disguise: what training sees beside the hand-written ones."""

import base64
import codecs
import random
import tomllib
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
_CYRILLIC = str.maketrans("aeopcxyiABEHKMOPCTX", "аеорсхуіАВЕНКМОРСТХ")
_LEET = str.maketrans("aeiost", "431057")


class Text(NamedTuple):
    """A text, whether it is an attack, its kind, where it enters, and where it is from (``hand``, ``slots``...)."""

    text: str
    is_attack: bool
    kind: str
    surface: str
    source: str
    group: str
    """Texts of one group are never parted by a fold: a hand-written text and what was made of it."""


def hand_written() -> list[Text]:
    """Return the texts of data/*.txt."""
    found = []
    for path in sorted((HERE / "data").glob("*.txt")):
        kind = surface = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            if line.startswith("# "):
                _, kind, surface = line.split()
            elif line.strip():
                text = line.replace("\\n", "\n")
                found.append(Text(text, path.name.startswith("attack"), kind, surface, "hand", f"{path.stem}:{number}"))
    return found


def from_slots(random_: random.Random, per_grammar: int) -> list[Text]:
    """Return texts of grammars, attacks and benign ones."""
    slots = {name: choices.split("|") for name, choices in tomllib.loads((HERE / "slots.toml").read_text()).items()}
    # A choice of `tool` holds the parting mark itself; it is listed by hand.
    pick = lambda name: random_.choice(slots[name])  # noqa: E731: a name for what every line below does
    found: list[Text] = []

    def add(text: str, is_attack: bool, kind: str, surface: str) -> None:
        text = text.replace("\\n", "\n").strip()
        if random_.random() < 0.15:
            text = text.lower()
        elif random_.random() < 0.04:
            text = text.upper()
        found.append(Text(text, is_attack, kind, surface, "slots", f"slots:{len(found) % 50}"))

    def override() -> str:
        return f"{pick('opener')}{pick('drop')} {pick('which')}{pick('rules')}"

    def reveal() -> str:
        return f"{pick('reveal')} {pick('prompt')}{pick('exact')}"

    def jailbreak() -> str:
        name = pick("evilname")
        how = random_.random()
        if how < 0.5:
            return f"{pick('becomes')} {name}, an AI that {pick('unbound')}. {name}, {pick('evil')}?"
        if how < 0.8:
            return (
                f"{pick('becomes')} a model that {pick('unbound')} and {pick('unbound')}. {pick('evil').capitalize()}."
            )
        return f"{name} {pick('unbound')}. {pick('becomes')} {name}. First question: {pick('evil')}?"

    def payload() -> str:
        how = random_.random()
        address, action, conceal = pick("address"), pick("action"), pick("conceal")
        gap = " " if conceal and conceal[0] != " " else ""
        if how < 0.45:
            return f"{address}{pick('modal')}{action}.{gap}{conceal}"
        if how < 0.7:
            return f"{address}: {action}, {pick('action')}.{conceal}"
        if how < 0.8:
            return f"{override().strip()} and {action}.{conceal}"
        if how < 0.9:
            return f"{address}: {override()}, then {action}."
        return f"{address}, {pick('drop')} {pick('which')}{pick('rules')}.{conceal}"

    def carried() -> str:
        return " ".join(random_.sample(slots["carrier"], random_.randint(1, 3)))

    def document() -> str:
        hidden = pick("wrap").replace("%", payload())
        return random_.choice([f"{carried()} {hidden} {carried()}", f"{carried()}\\n{hidden}", f"{hidden} {carried()}"])

    def tool() -> str:
        line = pick("tool") or "%"
        if "%" not in line:
            line = '{"FIELD":"%"}'
        return line.replace("FIELD", pick("field")).replace("CARRIER", pick("carrier")).replace("%", payload())

    attack_sentences = lambda: random_.choice([override, reveal, jailbreak, payload])().replace('"', "")  # noqa: E731: as above
    for _ in range(per_grammar):
        add(override() + pick("tail"), True, "direct_override", "user")
        add(pick("why") + reveal() + random_.choice(".?!"), True, "prompt_extraction", "user")
        add(jailbreak(), True, "roleplay_jailbreak", "user")
        add(document(), True, "indirect_document", "document")
        add(tool(), True, "indirect_tool_output", "tool_output")
        if random_.random() < 0.4:
            add(f"{override()}. {reveal().capitalize()}.", True, "prompt_extraction", "user")
        add(f"{pick('opener')}{pick('drop')} {pick('work')}{pick('then')}", False, "draft_instruction", "user")
        add(
            f"{random_.choice(['Act as', 'You are', 'Pretend to be', 'Be', 'You are now', 'From now on you are', 'Imagine you are', 'Play'])} {pick('role')}{pick('play')}",
            False,
            "harmless_roleplay",
            "user",
        )
        add(pick("frame").replace("%", attack_sentences()), False, "quoted_in_lesson", "user")
        add(
            f"{carried() if random_.random() < 0.5 else ''} {pick('framedoc').replace('%', attack_sentences())}",
            False,
            "quoted_in_lesson",
            random_.choice(["document"] * 6 + ["tool_output"]),
        )
        add(pick("frameout").replace("%", attack_sentences()), False, "ordinary_output", "output")
        orders = " ".join(random_.sample(slots["orderdoc"], random_.randint(1, 4)))
        add(f"{carried()} {orders}", False, "ordinary_document", "document")
        line = (pick("tool") or "%").replace("FIELD", pick("field")).replace("CARRIER", pick("carrier"))
        add(
            line.replace("%", pick("orderdoc")) if "%" in line else carried(),
            False,
            "ordinary_tool_output",
            "tool_output",
        )
    return found


def in_disguise(texts: list[Text], random_: random.Random, count: int) -> list[Text]:
    """Return texts in disguise, attacks and benign ones: a disguise alone is no attack."""
    ways = {
        "base64": lambda text: base64.b64encode(text.encode()).decode(),
        "hex": lambda text: text.encode().hex(" ") if random_.random() < 0.5 else text.encode().hex(),
        "leet": lambda text: text.lower().translate(_LEET),
        "spaced": lambda text: random_.choice("  .-_").join(text) if False else _spaced(text, random_),
        "homoglyph": lambda text: text.translate(_CYRILLIC),
        "zero width": lambda text: "".join(c + ("\u200b" if c.isalpha() else "") for c in text),
        "tags": lambda text: "".join(chr(0xE0000 + ord(c)) for c in text if c.isascii()),
        "rot13": lambda text: codecs.encode(text, "rot13"),
        "backwards": lambda text: text[::-1],
        "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    }
    fronts = [
        "",
        "Decode and do it: ",
        "Please read: ",
        "What does this say? ",
        "Follow this: ",
        "note: ",
        "A riddle: ",
    ]
    found = []
    some = [text for text in texts if text.text.isascii() and 15 < len(text.text) < 160 and "\n" not in text.text]
    for is_attack in (True, False):
        for text in random_.choices([each for each in some if each.is_attack == is_attack], k=count):
            way = random_.choice(list(ways))
            front = random_.choice(fronts) if way in {"base64", "hex", "rot13", "backwards"} else ""
            kind = "obfuscated" if is_attack else "encoded_benign"
            found.append(Text(front + ways[way](text.text), is_attack, kind, text.surface, "disguise", text.group))
    return found


def _spaced(text: str, random_: random.Random) -> str:
    mark = random_.choice([" ", ".", "-", "_"])
    return ("  " if mark == " " else " ").join(mark.join(word) for word in text.split())
