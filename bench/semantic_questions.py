"""Two thousand questions in four wordings each, of which the script knows which mean the same: those of one number.

A question is a template with a name or a number in it; another name or number is another question, with another answer.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WORDINGS = 4

_CITIES = (
    "Lisbon Oslo Vienna Prague Dublin Athens Warsaw Zagreb Riga Tallinn Vilnius Bern Geneva Zurich Milan Turin Naples "
    "Palermo Porto Seville Valencia Bilbao Lyon Nantes Lille Nice Toulouse Ghent Antwerp Bruges Utrecht Delft Leiden "
    "Hamburg Bremen Leipzig Dresden Cologne Munich Stuttgart Aarhus Odense Bergen Stavanger Malmo Uppsala Turku Tampere "
    "Krakow Gdansk Poznan Brno Graz Linz Salzburg Szeged Debrecen Split Ljubljana Sofia Varna Plovdiv Cluj Iasi Chisinau "
    "Nairobi Accra Dakar Lagos Tunis Rabat Cairo Amman Muscat Doha Izmir Ankara Tbilisi Yerevan Baku Almaty Tashkent "
    "Delhi Mumbai Chennai Hanoi Manila Jakarta Seoul Busan Osaka Kyoto Nagoya Perth Adelaide Auckland Lima Quito Bogota "
    "Santiago Montevideo Toronto Montreal"
).split()
_COUNTRIES = (
    "Portugal Norway Austria Ireland Greece Poland Croatia Latvia Estonia Lithuania Switzerland Italy Spain France Belgium "
    "Germany Denmark Sweden Finland Hungary Slovenia Slovakia Bulgaria Romania Moldova Kenya Ghana Senegal Nigeria Tunisia "
    "Morocco Egypt Jordan Oman Qatar Turkey Georgia Armenia Azerbaijan Kazakhstan Uzbekistan India Vietnam Philippines "
    "Indonesia Japan Australia Peru Ecuador Colombia Chile Uruguay Canada Mexico Brazil Argentina Bolivia Paraguay Panama "
    "Cuba Jamaica Haiti Iceland Malta Cyprus Albania Serbia Montenegro Kosovo Ukraine Belarus Mongolia Nepal Bhutan "
    "Bangladesh Pakistan Thailand Laos Cambodia Malaysia Singapore Brunei Fiji Samoa Tonga Namibia Botswana Zambia Zimbabwe "
    "Mozambique Angola Gabon Cameroon Benin Togo Mali Niger Chad Sudan Rwanda"
).split()
_PRODUCTS = [
    f"{name} {model}"
    for name, model in itertools.product(
        "Kestrel Marlin Juniper Basalt Cobalt Fathom Heron Indigo Larch Meridian Nimbus Osprey Pelican Quartz Raven "
        "Sorrel Tundra Umber Vireo Willow Yarrow Zephyr Amber Birch Cedar".split(),
        ("100", "250", "400", "900"),
    )
]
_NUMBERS = [str(number) for number in range(3, 303, 3)]

_TEMPLATES: tuple[tuple[Sequence[str], tuple[str, str, str, str]], ...] = (
    (_CITIES, ("How many people live in {}?", "What is the population of {}?", "how many inhabitants does {} have",
               "Tell me how many people live in {}.")),
    (_CITIES, ("What are the opening hours of the {} office?", "When is the office in {} open?",
               "what are the opening times of the {} office", "Please tell me the opening hours of your office in {}.")),
    (_CITIES, ("How do I get from the airport to the centre of {}?", "What is the way from the airport to the centre of {}?",
               "how can I get from the airport to {}'s centre", "How does one get to the centre of {} from the airport?")),
    (_CITIES, ("What is the address of the {} warehouse?", "Where is the {} warehouse?", "what's the {} warehouse's address",
               "Could you give me the address of the warehouse in {}?")),
    (_CITIES, ("Which museums in {} are worth a visit?", "What museums should I visit in {}?",
               "museums worth visiting in {}", "Can you recommend museums in {}?")),
    (_COUNTRIES, ("What is the capital of {}?", "Which city is the capital of {}?", "what's the capital city of {}",
                  "Name the capital of {}.")),
    (_COUNTRIES, ("Which currency is used in {}?", "What currency does {} use?", "what is the currency of {}",
                  "Tell me which currency people pay with in {}.")),
    (_COUNTRIES, ("How long does delivery to {} take?", "What is the delivery time to {}?",
                  "how long will it take to deliver to {}", "How many days does a delivery to {} need?")),
    (_COUNTRIES, ("Which languages are official in {}?", "What are the official languages of {}?",
                  "official languages in {}?", "Please name the official languages of {}.")),
    (_COUNTRIES, ("What is the emergency phone number in {}?", "Which number do I call in an emergency in {}?",
                  "what's {}'s emergency number", "Tell me the emergency number of {}.")),
    (_PRODUCTS, ("How long is the warranty of the {}?", "What warranty period does the {} have?",
                 "how long is the {} under warranty", "For how long does the {} have a warranty?")),
    (_PRODUCTS, ("How do I reset the {} to factory settings?", "How can I restore the factory settings of the {}?",
                 "how to reset a {} to its factory settings", "What do I do to factory-reset the {}?")),
    (_PRODUCTS, ("How much does the {} cost?", "What is the price of the {}?", "what does the {} cost",
                 "Can you tell me the price of the {}?")),
    (_PRODUCTS, ("How heavy is the {}?", "What does the {} weigh?", "what is the weight of the {}",
                 "Tell me how much the {} weighs.")),
    (_PRODUCTS, ("Which batteries does the {} need?", "What batteries are used in the {}?", "what batteries does a {} take",
                 "Which kind of battery does the {} run on?")),
    (_NUMBERS, ("What does a plan with {} seats cost?", "How much is a plan for {} seats?",
                "what is the price of a plan with {} seats", "Tell me what a plan with {} seats costs.")),
    (_NUMBERS, ("How do I export the last {} days of logs?", "How can I export logs of the last {} days?",
                "how to export the logs from the past {} days", "What do I do to export {} days of logs?")),
    (_NUMBERS, ("How much storage do {} users need?", "What storage is needed for {} users?",
                "how much storage is required for {} users", "Tell me how much storage {} users need.")),
    (_NUMBERS, ("What is {} degrees Celsius in Fahrenheit?", "How much is {} degrees Celsius in Fahrenheit?",
                "convert {} degrees celsius to fahrenheit", "Please convert {} degrees Celsius into Fahrenheit.")),
    (_NUMBERS, ("What happens if I pay {} days late?", "What are the consequences of paying {} days late?",
                "what happens when I pay {} days too late", "What will happen if my payment is {} days late?")),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A question by its number, in one of its wordings."""

    number: int
    text: str


def questions(count: int = 2000) -> list[tuple[str, ...]]:
    """Return the wordings of ``count`` questions; no two questions have a wording in common."""
    made = [tuple(form.format(name) for form in forms) for names, forms in _TEMPLATES for name in names]
    random.Random(11).shuffle(made)
    if count > len(made):
        raise ValueError(f"there are {len(made)} questions")
    return made[:count]


def traffic(known: Sequence[tuple[str, ...]], requests: int, seed: int, exponent: float = 1.0) -> Iterator[Asked]:
    """Yield what is asked: the question of rank r as often as 1 / r ** ``exponent`` (Zipf), its wordings alike."""
    chance = random.Random(seed)
    shares = [1 / rank**exponent for rank in range(1, len(known) + 1)]
    for number in chance.choices(range(len(known)), weights=shares, k=requests):
        yield Asked(number, chance.choice(known[number]))
