"""Training conversations: the hand-written corpus, expanded into many phrasings.

Owns how a fact becomes questions (templates, synonyms, typing errors, keyword queries), how questions become
conversations (system prompts, earlier turns, follow-ups), and the guarantee that no held-out question is among them.
"""

import random
import re

from corpus_files import (
    Fact,
    held_out_questions,
    lines,
    load_facts,
    load_phrasings,
    load_unknown,
    normalise,
)

Turn = tuple[str, str]  # (role, text)


class Dataset:
    """Draws training conversations; none contains a held-out question."""

    def __init__(self, seed: int) -> None:
        self.facts = load_facts()
        self.random = random.Random(seed)
        self._phrasings = load_phrasings()
        self._unknown = load_unknown()
        self._lists = {key: value.split("|") for key, value in self._unknown["lists"].items()}
        self._held_out = held_out_questions()
        self._fact_list = list(self.facts.values())
        self._weights = [fact.weight for fact in self._fact_list]
        self._check_written_questions()
        self._synonym_pattern = re.compile(
            r"\b(" + "|".join(sorted(map(re.escape, self._phrasings.synonyms), key=len, reverse=True)) + r")\b"
        )

    def _check_written_questions(self) -> None:
        written = {normalise(ask) for fact in self._fact_list for ask in fact.asks}
        written |= {normalise(ask) for ask in self._unknown["ask"]}
        written |= {
            normalise(template.format(x=name))
            for fact in self._fact_list
            for name in fact.names
            for template in self._phrasings.templates
        }
        if common := written & self._held_out:
            raise ValueError(f"held-out questions are in the corpus: {sorted(common)}")

    def texts(self) -> list[Turn]:
        """Turns from which the tokenizer learns: everything written by hand, and what is drawn from it."""
        answers = [("assistant", fact.answer) for fact in self._fact_list for _ in range(4)]
        asks = [("user", ask) for fact in self._fact_list for ask in fact.asks for _ in range(3)]
        drawn = [turn for _ in range(6000) for turn in self.conversation()]
        return [*answers, *asks, *drawn, *(("system", system) for system in self._phrasings.systems)]

    def conversation(self, *, single: bool = False) -> list[Turn]:
        """One conversation: sometimes a system prompt, mostly one turn, at times several, at times a follow-up."""
        if single and self.random.random() < 0.9:
            return self._exchange()[:2]
        turns: list[Turn] = []
        if self.random.random() < 0.25:
            turns.append(("system", self._system()))
        draw = self.random.random()
        count = 1 if draw < 0.78 else 2 if draw < 0.92 else self.random.randint(3, 7)
        for _ in range(count):
            turns += self._exchange()
        return turns

    def _system(self) -> str:
        count = 1 if self.random.random() < 0.8 else self.random.randint(2, 5)
        parts = self.random.sample(self._phrasings.systems, count)
        if self.random.random() < 0.1:
            parts += [fact.answer for fact in self.random.sample(self._fact_list, self.random.randint(1, 3))]
        return " ".join(parts)

    def _exchange(self) -> list[Turn]:
        draw = self.random.random()
        if draw < 0.08:
            return [("user", self.unknown_question()), ("assistant", self._unknown["answer"].strip())]
        fact = self.random.choices(self._fact_list, self._weights)[0]
        turns = [("user", self.question(fact)), ("assistant", fact.answer)]
        more = self._unknown["follow_ups"]["more"].get(fact.id)
        if more and self.random.random() < 0.08:
            ask = self._finish(self.random.choice(lines(self._unknown["follow_ups"]["ask"])))
            turns += [("user", ask), ("assistant", self.facts[more].answer)]
        return turns

    def question(self, fact: Fact) -> str:
        """A phrasing of the question that the fact answers, never a held-out one."""
        while True:
            text = self._finish(self._phrase(fact))
            if normalise(text) not in self._held_out:
                return text

    def unknown_question(self) -> str:
        """A question to decline, never a held-out one."""
        while True:
            text = self.random.choice(self._unknown["ask"])
            text = re.sub(r"\{(\w+)\}", lambda match: self._fill(match[1]), text)
            if self.random.random() < 0.3:
                text = self._wrap(text)
            text = self._finish(text)
            if normalise(text) not in self._held_out:
                return text

    def _fill(self, slot: str) -> str:
        if slot != "nonsense":
            return self.random.choice(self._lists[slot])
        syllables = ("ba", "zu", "kro", "mi", "ten", "fla", "go", "ri", "sno", "pex", "dul", "wim", "tar", "lo", "qui")
        return "".join(self.random.choices(syllables, k=self.random.randint(2, 4)))

    def _phrase(self, fact: Fact) -> str:
        draw = self.random.random()
        by_name = min(0.35, 0.1 * len(fact.names))
        if draw < by_name:
            name = self.random.choice(fact.names)
            text = self.random.choice(self._phrasings.templates).format(x=self._vary_name(name))
        elif draw < 0.75:
            text = self.random.choice(fact.asks)
        elif draw < 0.88:
            text = self._blend(fact)
        elif draw < 0.96 or not fact.names:
            return self._keywords(fact)
        else:
            text = self._from_answer(fact)
        return self._vary(text)

    def _vary(self, text: str) -> str:
        """Other words, politeness, and noise that leaves the topic readable."""
        if self.random.random() < 0.45:
            text = self._swap_synonyms(text)
        if self.random.random() < 0.3:
            text = self._wrap(text)
        for chance, change in (
            (0.15, self._drop_function_words),
            (0.35, self._drop_words),
            (0.3, self._insert_word),
            (0.1, self._shuffle),
        ):
            if self.random.random() < chance:
                text = change(text)
        return text

    def _blend(self, fact: Fact) -> str:
        """The beginning of one question and the end of another on the same fact."""
        first, second = (self.random.choice(fact.asks).split() for _ in range(2))
        return " ".join(first[: (len(first) + 1) // 2] + second[len(second) // 2 :])

    def _vary_name(self, name: str) -> str:
        draw = self.random.random()
        if draw < 0.15:
            return re.sub(r"^(the|a|an|penstock's) ", "", name, flags=re.IGNORECASE)
        if draw < 0.22 and "penstock" not in name.lower():
            return f"{name} in penstock"
        return name

    def _keywords(self, fact: Fact) -> str:
        """Two to six content words of one question and perhaps a second one, in any order: a search-box query."""
        sources = self.random.choice(fact.asks).split() + self.random.choice(fact.names or fact.asks).split()
        words = list(dict.fromkeys(w for w in sources if w.lower() not in self._phrasings.light_words | {"penstock"}))
        if len(words) < 2:
            return self.random.choice(fact.asks)
        keep = self.random.randint(2, min(6, len(words)))
        chosen = sorted(self.random.sample(range(len(words)), keep))
        if self.random.random() < 0.5:
            self.random.shuffle(chosen)
        return " ".join(words[index] for index in chosen)

    def _from_answer(self, fact: Fact) -> str:
        """A question in the answer's own words."""
        words = fact.answer.rstrip(".").lower().split()
        length = self.random.randint(5, 9)
        start = self.random.randint(0, max(0, len(words) - length))
        span = " ".join(words[start : start + length]).strip(" ,;:.")
        frame = self.random.choice(("what {}", "which one {}", "{}", "what is it that {}", "who {}", "tell me what {}"))
        return frame.format(span)

    def _swap_synonyms(self, text: str) -> str:
        chance = self.random.choice((0.3, 0.6))

        def swap(match: re.Match[str]) -> str:
            if self.random.random() > chance:
                return match[0]
            return self.random.choice(self._phrasings.synonyms[match[0]])

        return self._synonym_pattern.sub(swap, text)

    def _wrap(self, text: str) -> str:
        draw = self.random.random()
        if draw < 0.65:
            joint = self.random.choice((" ", " ", ", ", ": "))
            text = self.random.choice(self._phrasings.opening) + joint + text
        if draw > 0.45:
            text += self.random.choice((" ", " ", ", ")) + self.random.choice(self._phrasings.closing)
        return text

    def _drop_function_words(self, text: str) -> str:
        words = text.split()
        kept = [word for word in words if word.lower() not in self._phrasings.light_words or self.random.random() < 0.5]
        return " ".join(kept) if len(kept) >= 2 else text

    def _drop_words(self, text: str) -> str:
        """Without some of its words, so that no single one is relied on."""
        words = text.split()
        kept = [word for word in words if self.random.random() > 0.2]
        return " ".join(kept) if len(kept) >= 3 else text

    def _insert_word(self, text: str) -> str:
        words = text.split()
        for _ in range(self.random.choice((1, 1, 2, 3))):
            words.insert(self.random.randint(0, len(words)), self.random.choice(self._phrasings.fillers))
        return " ".join(words)

    def _shuffle(self, text: str) -> str:
        words = text.split()
        if len(words) >= 4:
            self.random.shuffle(words)
        return " ".join(words)

    def _finish(self, text: str) -> str:
        """Punctuation and typing errors, as people type; case does not matter, see prompt_text.py."""
        if self.random.random() < 0.10:
            text = self._misspell(text)
        ending = self.random.random()
        return text + ("?" if ending < 0.6 else "." if ending < 0.68 else "!" if ending < 0.71 else "")

    def _misspell(self, text: str) -> str:
        for _ in range(self.random.choice((1, 1, 2))):
            if len(text) < 6:
                return text
            at = self.random.randint(1, len(text) - 3)
            kind = self.random.randrange(4)
            if kind == 0:
                text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
            elif kind == 1:
                text = text[:at] + text[at + 1 :]
            elif kind == 2:
                text = text[:at] + text[at] + text[at:]
            else:
                text = text[:at] + self.random.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]
        return text
