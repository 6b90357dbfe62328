"""Texts of many kinds and lengths, made of parts so that they are many without being random."""

from __future__ import annotations

import itertools

_SUBJECTS = ("The gateway", "A cat on the sofa", "Our quarterly report", "Dr. Müller", "水力発電所", "The SQL query")
_VERBS = ("refuses", "translates", "costs less than", "was written by", "should not delete")
_OBJECTS = ("an expired key", "the river Elbe", "$1,250.50 in 2024", "every second token", "x = foo(bar[3]) # why?")

SENTENCES = [f"{subject} {verb} {thing}." for subject, verb, thing in itertools.product(_SUBJECTS, _VERBS, _OBJECTS)]

TEXTS = [
    *SENTENCES,
    *[" ".join(SENTENCES[start : start + 5]) for start in range(0, 150, 5)],
    *[" ".join(SENTENCES[start : start + 40]) for start in range(0, 100, 25)],
    "HELLO WORLD",
    "hello   world",
    "0123456789" * 20,
    "supercalifragilisticexpialidocious",
    "Ünïcödé Gruß, naïve café, Ελληνικά, русский, العربية, עברית, 한국어",
    '{"type": "object", "properties": {"a": {"type": "integer"}}}',
    "SELECT * FROM users WHERE id = 1; -- drop",
    "No. Never. Not at all.",
    "https://example.com/a/b?c=d&e=f#g",
]

# Two or three tokens, the special ones among them: there is little to average over.
NEARLY_EMPTY = ["a", "?", "\t\n", "🙂", "...", "1"]

PARAPHRASES = [
    ("How do I reset my password?", "What are the steps to change a forgotten password?"),
    ("Which city is the capital of France?", "Name the French capital."),
    ("The meeting was moved to Friday.", "They rescheduled the meeting for Friday."),
    ("How can I cancel my subscription?", "I want to end my subscription; what should I do?"),
    ("Explain what a hash table is.", "What is a hash map, in simple words?"),
    ("The dog chased the cat across the garden.", "A cat was pursued by a dog through the garden."),
]
