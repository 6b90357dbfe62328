"""Which texts are matched by meaning at all: a refusal is one word, fit for a metric's label.

The lists are of closed classes of words, in the languages that most traffic is in. What they miss is up to the guard;
what they catch in vain costs a hit, and no more.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from penstock_common.llm.personal import any_of, is_personal, plain, word_set

NotCompared = Literal[
    "form",  # the last turn is no text of a user's, or the caller wants equal requests only
    "off",  # the model's answers are not matched by meaning
    "personal",  # it speaks of a person, and nobody knows whom the answer would be for
    "moment",  # the answer depends on when it is asked
    "dependent",  # it means nothing without what was said before
    "random",  # every answer is to be another
    "too_long",  # the embedding model would read its beginning only
    "empty",  # there is nothing to compare it with
    "away",  # the embedding service, the vector store or the keys do not answer
]

_MOST_WORDS_OF_A_FOLLOW_UP = 8
_MOST_WORDS_AFTER_A_CONJUNCTION = 6
_MOST_CONTENT_WORDS_OF_A_FOLLOW_UP = 2
_MOST_WORDS_OF_A_REPLY = 4


def refusal(text: str, user: str, window_tokens: int) -> NotCompared | None:
    """Return why a text is not matched by meaning, or None if it may be; 0 tokens are an unknown window."""
    text = plain(text)
    words = _WORD.findall(text.casefold())
    # A word is a token at least.
    if window_tokens and len(words) > window_tokens:
        return "too_long"
    passing = passing_of(text)
    if passing == "moment":
        return passing
    if is_dependent(words):
        return "dependent"
    if passing:
        return passing
    if not user and is_personal(text):
        return "personal"
    return None


# A text that is not matched is asked about again when its answer is kept.
@lru_cache(maxsize=64)
def passing_of(text: str) -> Literal["moment", "random"] | None:
    """Return why an answer to an equal text is soon no longer right, if it is not."""
    if _MOMENT.search(_question_of(text)):
        return "moment"
    return "random" if _RANDOM.search(text) else None


def is_dependent(words: list[str]) -> bool:
    """Return whether casefolded words are a turn that only what was said before gives a meaning to."""
    if not words or (len(words) <= _MOST_WORDS_OF_A_REPLY and not set(words) - _REPLIES):
        return True
    if words[0] in _CONJUNCTIONS and len(words) <= _MOST_WORDS_AFTER_A_CONJUNCTION:
        return True
    if len(words) > _MOST_WORDS_OF_A_FOLLOW_UP:
        return False
    line = " ".join(words)
    if _WHAT_ABOUT.match(line) or _ONE_OF_THEM.search(line):
        return True
    pointing = _POINTING.intersection(words)
    content = [word for word in words if word not in _FUNCTION_WORDS and word not in pointing]
    return bool(pointing) and len(content) <= _MOST_CONTENT_WORDS_OF_A_FOLLOW_UP


def _question_of(text: str) -> str:
    """Return what of a text asks: when somebody's story happened changes no answer."""
    asking = [sentence for sentence in _SENTENCE.split(text) if sentence.endswith(("?", "\uff1f"))]
    return " ".join(asking) if asking else text


_SENTENCE = re.compile(r"(?<=[.!?\uff1f\u3002])\s+|\n+")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")

_MOMENT = any_of(
    r"\b(?:today|tonight|tomorrow|yesterday|nowadays|right now|just now|as of now|at the moment|up[- ]to[- ]date|breaking news)\b",
    r"\b(?:current|present) (?:time|date|day|year|month|price|rate|status|weather|temperature|version|president|score)\b",
    r"\b(?:who|what) (?:is|are) currently\b|\b(?:latest|newest|most recent)\b|\bthis (?:morning|afternoon|evening|week|weekend|month|year)\b",
    r"\bwhat(?:'s| is) (?:the )?(?:time|date|weather|day)(?: in \w+| of today| now| today)?\s*(?:\?|$)|\bwhat (?:time|day|date|year) is it\b|\bweather (?:in|for|forecast)\b",
    r"\b(?:stock|share) price\b|\bexchange rate\b|\b(?:price|worth|cost|available|open) now\b",
    r"\b(?:heute|gestern|morgen früh|derzeit|zurzeit|aktuell\w*|neueste[nrsm]?|gerade jetzt|im moment)\b|\bwie (?:spät|ist das wetter)\b",
    r"\b(?:aujourd'hui|hier soir|en ce moment|actuellement|maintenant)\b|\b(?:hoy|ahora|actualmente|ayer)\b",
    r"\b(?:oggi|adesso|attualmente|ieri)\b|\b(?:hoje|agora|atualmente|ontem)\b|\b(?:vandaag|momenteel|gisteren)\b",
    r"今天|现在|目前|最新|今日|現在|сегодня|сейчас|bugün|şu an",
)
_RANDOM = any_of(
    r"\b(?:random(?:ly)?|at random|surprise me|roll (?:a|the|two) (?:die|dice)|(?:flip|toss) a coin)\b",
    r"\b(?:another|a new|a different|one more) (?:one|idea|joke|poem|story|name|example|suggestion)s?\b",
    r"\btell me (?:a|another) (?:joke|story|riddle)\b|\bmake (?:one|something) up\b",
    r"\b(?:zufällig\w*|zufallszahl\w*|noch eine[nr]?s?|überrasche mich|würfle|erzähl\w* (?:mir )?einen witz)\b",
    r"\b(?:au hasard|aléatoire\w*|surprends[- ]moi|une blague)\b|\b(?:al azar|aleatori[oa]s?|sorpréndeme|un chiste)\b",
    r"\b(?:a caso|casuale|una barzelletta)\b|\b(?:aleatóri[oa]s?|uma piada)\b|随机|随便",
)
_WHAT_ABOUT = re.compile(
    r"(?:what|how) about\b|what else\b|why not\b|and what\b|was ist mit\b|wie wäre es mit\b|et pour\b|qué tal\b|y qué\b"
)
_ONE_OF_THEM = re.compile(
    r"\bthe (?:first|second|third|fourth|last|next|other|former|latter|same)(?: (?:one|two|three|option|point|step|part|thing))?$"
    r"|\b(?:das|der|die|den) (?:erste|zweite|dritte|letzte|andere)[nrs]?$|\b(?:le|la) (?:premi|second|derni|deuxi)\w+$"
    r"|\b(?:el|la) (?:primer|segund|tercer|últim)[oa]?$"
)
_REPLIES = word_set(
    "yes yeah yep no nope ok okay sure please thanks thank you continue go on proceed more again next right correct "
    "exactly why how really and then so do it that hi hello hey stop help shorter longer better simpler elaborate "
    "explain ja nein bitte danke weiter mehr nochmal genau warum doch oui non merci continue encore pourquoi sí si no "
    "gracias sigue más otra vez sì grazie continua ancora perché sim não obrigado mais nee dank verder meer"
)
_CONJUNCTIONS = word_set("and but or so then also und aber oder et mais ou y pero o e ma en maar 和 那")
_POINTING = word_set(
    "it its it's that that's this these those they them their he she him her his hers there es das dies diese dieser "
    "dieses er sie ihn ihm ihr dazu davon dafür ça cela il elle ils elles eux ello eso esto ellos ellas lo questo "
    "quello esso isso ele ela dat dit deze zij hij"
)
_FUNCTION_WORDS = word_set(
    "a an the of to in on at for with from by as is are was were be been do does did can could will would should may "
    "might must have has had what when where who why how which and or but not no i you me my we us one ones please "
    "mean der die den dem des ein eine einen ist sind war kann könnte was wann wo wer warum wie welche und oder nicht "
    "ich du mir wir le la les un une des de du est sont que qui quoi quand où comment pourquoi et ou ne pas je tu el "
    "los las una unos es son qué cuándo dónde quién por cómo y no yo di del al il lo gli i uno è sono che chi quando "
    "dove perché come e non io"
)
