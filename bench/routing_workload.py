"""A workload for the router: prompts made of templates, three models of one public name, and how good each is at each task.

Nothing here is measured. The table is a script: which share of a task's prompts a model answers rightly.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from penstock_common.contract.router import Policy, Requirements, RouteRequest, Subject
from penstock_common.llm.types import NANO_USD_PER_USD, Candidate, UnitPrices
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel
from penstock_router.domain.classification.reading import Reading
from penstock_router.domain.figures import PolicyRules
from penstock_router.domain.forks import Fork
from penstock_router.domain.preference import PreferenceRules
from penstock_router.domain.routing import Router

BYTES_PER_LEAST_TOKEN = 8
TASKS = ("faq", "code", "reasoning", "internal_docs", "general")
SHARES = (30, 20, 15, 20, 15)
OUTPUT_TOKENS = {"faq": 120, "code": 700, "reasoning": 600, "internal_docs": 250, "general": 300}
SMALL, MIDDLE, LARGE = (Candidate(upstream=name, model="m") for name in ("small", "middle", "large"))
PRICES = {SMALL: (0.15, 0.6), MIDDLE: (0.8, 4.0), LARGE: (3.0, 15.0)}
"""Dollars for a million tokens of input and of output."""
QUALITY = {
    SMALL: {"faq": 0.93, "code": 0.66, "reasoning": 0.55, "internal_docs": 0.91, "general": 0.91},
    MIDDLE: {"faq": 0.95, "code": 0.92, "reasoning": 0.90, "internal_docs": 0.93, "general": 0.93},
    LARGE: {"faq": 0.96, "code": 0.95, "reasoning": 0.94, "internal_docs": 0.95, "general": 0.94},
}
# Whom the operator lets answer what: those whose quality is near the best one's.
ROUTES = {
    "faq": "any",
    "internal_docs": "any",
    "general": "any",
    "code": "able",
    "reasoning": "able",
    "default": "able",
}
_TEMPLATES = {
    "faq": ("What is {x}?", "How long does {x} take?", "Where do I find {x}?"),
    "code": ("Write a function that sorts {x} by date.", "Why does this query over {x} return nothing?"),
    "reasoning": (
        "If {x} doubles every month and costs fall by a fifth, when is it worth it?",
        "Prove that {x} is finite.",
    ),
    "internal_docs": ("What does our policy say of {x}?", "Who in our team decides about {x}?"),
    "general": ("Rewrite this note about {x} in a friendlier tone.", "Write two sentences on {x}."),
}
_THINGS = (
    "invoices",
    "the roaming fee",
    "TLS",
    "vacation days",
    "log files",
    "a contract",
    "primes",
    "backups",
    "tickets",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked, and how much of a text stands with it."""

    text: str
    task: str
    context_bytes: int

    def request(self, policy: Policy | None) -> RouteRequest:
        """Return what the router is asked for it."""
        tokens = (len(self.text) + self.context_bytes) // BYTES_PER_LEAST_TOKEN
        return RouteRequest(
            "auto", Requirements(min_input_tokens=tokens), subject=Subject(self.text), tenant="bench", policy=policy
        )


def prompts(count: int, seed: int) -> list[Prompt]:
    """Return so many prompts, the same ones for a seed."""
    chance = random.Random(seed)
    made: list[Prompt] = []
    for task in chance.choices(TASKS, SHARES, k=count):
        text = chance.choice(_TEMPLATES[task]).format(x=chance.choice(_THINGS))
        made.append(Prompt(text, task, int(chance.lognormvariate(6, 1.2))))
    return made


class KnowsTheTask:
    """A reader that sees of each prompt what the workload says it is, so that policies alone are judged."""

    def __init__(self, workload: list[Prompt]) -> None:
        self._tasks = {prompt.text: prompt.task for prompt in workload}

    def classify(self, subject: Subject, vector: object, *, has_tools: bool, has_images: bool) -> Reading:
        """Return the prompt's task."""
        return Reading(self._tasks[subject.text], "medium", 1.0, 1.0, False, False, "script")


FORK = Fork("auto", (), ROUTES)


def router(seed: int = 1) -> Router:
    """Return a router that knows prices and qualities of the three, of whom the small one is not ``able``."""
    entries = {name: _entry(name) for name in (LARGE, MIDDLE, SMALL)}
    groups = {"any": (LARGE, MIDDLE, SMALL), "able": (LARGE, MIDDLE)}
    models = [PublicModel(name, tuple(entries[one] for one in group), is_led_to=True) for name, group in groups.items()]
    chance = random.Random(seed)
    return Router(Catalogue(models), chance, PreferenceRules(), PolicyRules(output_tokens=dict(OUTPUT_TOKENS)))


def cost_usd(candidate: Candidate, prompt: Prompt) -> float:
    """Return what an answer of the usual length costs."""
    price_in, price_out = PRICES[candidate]
    input_tokens = (len(prompt.text) + prompt.context_bytes) / 4
    return (input_tokens * price_in + OUTPUT_TOKENS[prompt.task] * price_out) / 1_000_000


def _entry(name: Candidate) -> UpstreamModel:
    price_in, price_out = PRICES[name]
    prices = UnitPrices(
        input_nano_usd=round(price_in * NANO_USD_PER_USD), output_nano_usd=round(price_out * NANO_USD_PER_USD)
    )
    return UpstreamModel(name, "eu", 200_000, frozenset({"chat"}), prices, quality=QUALITY[name])
