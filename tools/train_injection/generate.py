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


def hand_written(folder: Path = HERE / "data") -> list[Text]:
    """Return the texts of a folder's files: those of data/ unless another is given."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        kind = surface = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            if line.startswith("# "):
                _, kind, surface = line.split()
            elif line.strip():
                text = line.replace("\\n", "\n")
                found.append(Text(text, path.name.startswith("attack"), kind, surface, "hand", f"{path.stem}:{number}"))
    return found


class Grammar:
    """Makes texts of slots.toml."""

    def __init__(self, random_: random.Random) -> None:
        """Read the slots."""
        self._random = random_
        read = tomllib.loads((HERE / "slots.toml").read_text(encoding="utf-8"))
        self._slots = {name: choices.split("|") for name, choices in read.items()}

    def pick(self, name: str) -> str:
        """Return one choice of a slot."""
        return self._random.choice(self._slots[name])

    def override(self) -> str:
        """Return an order to drop rules."""
        return f"{self.pick('opener')}{self.pick('drop')} {self.pick('which')}{self.pick('rules')}"

    def reveal(self) -> str:
        """Return an order to tell the instructions."""
        return f"{self.pick('reveal')} {self.pick('prompt')}{self.pick('exact')}"

    def jailbreak(self) -> str:
        """Return a part without rules, and what it is asked."""
        name, how = self.pick("evilname"), self._random.random()
        if how < 0.5:
            return f"{self.pick('becomes')} {name}, an AI that {self.pick('unbound')}. {name}, {self.pick('evil')}?"
        if how < 0.8:
            both = f"{self.pick('unbound')} and {self.pick('unbound')}"
            return f"{self.pick('becomes')} a model that {both}. {self.pick('evil').capitalize()}."
        return f"{name} {self.pick('unbound')}. {self.pick('becomes')} {name}. First question: {self.pick('evil')}?"

    def payload(self) -> str:
        """Return what a document or a tool's result says to a model."""
        how = self._random.random()
        address, action, conceal = self.pick("address"), self.pick("action"), self.pick("conceal")
        gap = " " if conceal and conceal[0] != " " else ""
        if how < 0.45:
            return f"{address}{self.pick('modal')}{action}.{gap}{conceal}"
        if how < 0.7:
            return f"{address}: {action}, {self.pick('action')}.{conceal}"
        if how < 0.8:
            return f"{self.override().strip()} and {action}.{conceal}"
        if how < 0.9:
            return f"{address}: {self.override()}, then {action}."
        return f"{address}, {self.pick('drop')} {self.pick('which')}{self.pick('rules')}.{conceal}"

    def carried(self, most: int = 3) -> str:
        """Return harmless sentences."""
        return " ".join(self._random.sample(self._slots["carrier"], self._random.randint(1, most)))

    def orders(self) -> str:
        """Return what an ordinary document asks people to do."""
        return " ".join(self._random.sample(self._slots["orderdoc"], self._random.randint(1, 4)))

    def document(self) -> str:
        """Return a document that speaks to a model."""
        hidden = self.pick("wrap").replace("%", self.payload())
        before = self.carried()
        return self._random.choice(
            [f"{before} {hidden} {self.carried()}", f"{before}\\n{hidden}", f"{hidden} {before}"]
        )

    def tool(self, said: str) -> str:
        """Return a tool's result that says something."""
        line = self.pick("tool")
        if "%" not in line:
            line = '{"FIELD":"%"}'
        return line.replace("FIELD", self.pick("field")).replace("CARRIER", self.pick("carrier")).replace("%", said)

    def quoted(self, frame: str) -> str:
        """Return an attack as it is quoted by who talks about it."""
        attack = self._random.choice([self.override, self.reveal, self.jailbreak, self.payload])()
        return self.pick(frame).replace("%", attack.replace('"', ""))

    def attacks(self) -> list[tuple[str, str, str]]:
        """Return one of each kind: text, kind, surface."""
        return [
            (self.override() + self.pick("tail"), "direct_override", "user"),
            (self.pick("why") + self.reveal() + self._random.choice(".?!"), "prompt_extraction", "user"),
            (f"{self.override()}. {self.reveal().capitalize()}.", "prompt_extraction", "user"),
            (self.jailbreak(), "roleplay_jailbreak", "user"),
            (self.document(), "indirect_document", "document"),
            (self.tool(self.payload()), "indirect_tool_output", "tool_output"),
        ]

    def harmless(self) -> list[tuple[str, str, str]]:
        """Return one of each kind: text, kind, surface."""
        play = self._random.choice(
            [
                "Act as",
                "You are",
                "Pretend to be",
                "Be",
                "You are now",
                "From now on you are",
                "Imagine you are",
                "Play",
            ]
        )
        before = self.carried() if self._random.random() < 0.5 else ""
        place = self._random.choice(["document"] * 6 + ["tool_output"])
        revised = f"{self.pick('opener')}{self.pick('drop')} {self.pick('work')}{self.pick('then')}"
        return [
            (revised, "draft_instruction", "user"),
            (f"{play} {self.pick('role')}{self.pick('play')}", "harmless_roleplay", "user"),
            (self.quoted("frame"), "quoted_in_lesson", "user"),
            (f"{before} {self.quoted('framedoc')}", "quoted_in_lesson", place),
            (self.quoted("frameout"), "ordinary_output", "output"),
            (f"{self.carried()} {self.orders()}", "ordinary_document", "document"),
            (self.tool(self.pick("orderdoc")), "ordinary_tool_output", "tool_output"),
        ]


def from_slots(random_: random.Random, per_grammar: int) -> list[Text]:
    """Return texts of the grammars, attacks and harmless ones."""
    grammar = Grammar(random_)
    found: list[Text] = []
    for _ in range(per_grammar):
        both = [(True, each) for each in grammar.attacks()] + [(False, each) for each in grammar.harmless()]
        for is_attack, (made, kind, surface) in both:
            text = made.replace("\\n", "\n").strip()
            chance = random_.random()
            text = text.lower() if chance < 0.15 else text.upper() if chance > 0.97 else text
            found.append(Text(text, is_attack, kind, surface, "slots", f"slots:{len(found) % 50}"))
    return found


def in_disguise(texts: list[Text], random_: random.Random, count: int) -> list[Text]:
    """Return texts in disguise, attacks and benign ones: a disguise alone is no attack."""
    ways = {
        "base64": lambda text: base64.b64encode(text.encode()).decode(),
        "hex": lambda text: text.encode().hex(" ") if random_.random() < 0.5 else text.encode().hex(),
        "leet": lambda text: text.lower().translate(_LEET),
        "spaced": lambda text: _spaced(text, random_),
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
