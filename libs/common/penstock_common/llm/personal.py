"""Whether a text is about a person, as far as its words tell, in the languages that most traffic is in.

What is caught in vain costs the cache a hit, and no more.
"""

from __future__ import annotations

import re
from functools import lru_cache


# A request is asked about more than once: whom its answer may serve, whether it may be matched, and among whose entries.
@lru_cache(maxsize=64)
def is_personal(text: str) -> bool:
    """Return whether the answer is about a person: the text holds personal data, or asks for what is the asker's own.

    How something of one's own is done ("How do I reset my password?") is asked by many, and answered alike.
    """
    text = plain(text)
    # Most texts have none of these words, and each pattern takes several times as long to say so.
    words = set(_WORD.findall(text.lower()))
    if not text.isascii():
        words.update(_UNSPACED.findall(text))
    if (not words.isdisjoint(_DATA_CUES) or _DIGIT_OR_AT.search(text)) and _DATA.search(text):
        return True
    if not words.isdisjoint(_LETTER_CUES) and _LETTER.search(text):
        return True
    return not words.isdisjoint(_OWN_CUES) and bool(_OWN.search(text)) and not _HOW_TO.search(text)


def plain(text: str) -> str:
    """Return the text with the one apostrophe that the lists know."""
    return text.replace("\u2019", "'")


def any_of(*alternatives: str) -> re.Pattern[str]:
    """Return a pattern that any of these makes, in either case of letters."""
    return re.compile("|".join(alternatives), re.IGNORECASE)


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list."""
    return frozenset(text.split())


_WORD = re.compile(r"[^\W\d_]+")
# Where words stand without spaces between them, those of the lists are looked for in the midst.
_UNSPACED = re.compile("我叫|我的|我们的|私の")
_DIGIT_OR_AT = re.compile(r"[\d@]")

_DATA = any_of(
    r"[\w.+-]@[\w-]+\.\w",
    r"(?<![\w.,])\+?\d[\d ()/-]{7,30}\d(?![\w.,])",
    r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,}\b",
    r"\b(?:invoice|order|ticket|case|account|customer|policy|contract|booking|reservation|tracking)(?: (?:number|no\.?|id))?"
    r" ?[#:]? ?[a-z-]{0,4}\d{3,}",
    r"\b(?:rechnung|bestellung|auftrag|konto|kunde|vertrag|buchung|facture|commande|pedido|factura|fattura|ordine|fatura)"
    r"(?:s?nummer|snr\.?| nr\.?| n°)? ?[#:]? ?[a-z-]{0,4}\d{3,}",
    r"\b(?:my name is|i(?:'m| am) called|i live (?:in|at)|i was born|ich hei(?:ß|ss)e|mein name ist|ich wohne|je m'appelle"
    r"|j'habite|me llamo|mi nombre es|vivo en|mi chiamo|abito|meu nome é|me chamo|moro em|ik heet|mijn naam is)\b|我叫|我的名字",
    r"\bi(?:'m| am) (?:a )?\d{1,3}(?: years? old|-year-old)?\b|\bich bin \d{1,3}\b|\bj'ai \d{1,3} ans\b|\btengo \d{1,3} años\b",
    r"\b(?:dear|hi|hello|hallo|lieber?|bonjour|hola|ciao) (?:mr|mrs|ms|dr|herr|frau|m\.|mme|señora?)\b",
)
_OWN = any_of(
    r"(?:^|[.!?:;,] |\b(?:please|you|and) )(?:what(?:'s| is| are| was| were)|when(?:'s| is| are| was| does| do| will)|where(?:'s| is| are| was)"
    r"|who(?:'s| is| are)|which of|how (?:much|many|old|long|far)|show|list|find|check|give me|tell me|summari[sz]e|do i (?:have|owe))\b"
    r"(?:\W+\w+){0,3}?\W+(?:my|our|ours|(?<=\bis )mine|(?<=\bare )mine|(?<=\bwas )mine|(?<=\bof )mine)\b",
    r"\b(?:do|did|have|am|was) i (?:still )?(?:owe|paid|registered|enrolled)\b",
    r"\b(?:was|wie (?:viel|hoch|viele)|wann|wo|wer|zeig\w*|nenn\w*|welche[rsn]?)\b(?:\W+\w+){0,6}?\W+(?:mein|unser)(?:e[nrms]?)?\b",
    r"\b(?:quel(?:le)?s?|combien|quand|où|montre\w*|donne\w*)\b(?:\W+\w+){0,6}?\W+(?:mon|ma|mes|notre|nos)\b",
    r"\b(?:cuál(?:es)?|cuánt[oa]s?|cuándo|dónde|qué|muéstrame|dime)\b(?:\W+\w+){0,6}?\W+(?:mi|mis|nuestr[oa]s?)\b",
    r"\b(?:qual[ei]?|quant[oaie]|quando|dove|onde|mostra\w*|dimmi)\b(?:\W+\w+){0,6}?\W+(?:mi[oae]i?|nostr[oaie]|meus?|minhas?|nosso?a?s?)\b",
    r"\b(?:wat|wanneer|waar|hoeveel|toon)\b(?:\W+\w+){0,6}?\W+(?:mijn|onze?)\b",
    r"我的|我们的|私の|мой|моя|моё|мои",
)
_HOW_TO = any_of(
    r"\bhow (?:do|can|could|should|would|to|might|does|did)\b|\b(?:steps|way|ways|best way|instructions) (?:to|for)\b|\bhow-to\b",
    r"\bwie (?:kann|soll\w*|muss|mache?|ändere|setze|stelle|lösche)\b|\bcomment\b|\bcómo\b|\bcome (?:posso|faccio|si)\b|\bcomo\b|\bhoe (?:kan|moet)\b"
    r"|如何|怎么|どうやって|как ",
)
# A message to somebody who is named; names are told by their capitals, which therefore count here. Each language has its own
# word for whom it is to: the Spanish one is an English article, and "write a Python REST client" is nobody's letter.
_NAMED = r" [A-ZÀ-ÖØ-Þ][\w'-]+ [A-ZÀ-ÖØ-Þ]"
_MAIL = r"e-?mail|mail"
_LETTER = re.compile(
    r"\b(?:"
    rf"(?i:write|reply|respond|{_MAIL}|letter|message|note|text|invitation|reminder|apology)(?: \w+){{0,2}}? to{_NAMED}"
    rf"|(?i:{_MAIL}|letter|message|note|invitation|reminder|apology)(?: \w+){{0,2}}? for{_NAMED}"
    rf"|(?i:schreib(?:en?)?|brief|nachricht|antworten?|{_MAIL})(?: \w+){{0,2}}? (?:an|für){_NAMED}"
    rf"|(?i:écri(?:s|re|vez)|lettre|message|{_MAIL})(?: \w+){{0,2}}? (?:à|pour){_NAMED}"
    rf"|(?i:escrib(?:e|ir)|carta|mensaje|correo|escrev(?:a|er)|mensagem|{_MAIL})(?: \w+){{0,2}}? (?:a|para){_NAMED}"
    rf"|(?i:scriv(?:i|ere)|lettera|messaggio|{_MAIL})(?: \w+){{0,2}}? (?:a|per){_NAMED}"
    rf"|(?i:schrijf|bericht|brief|{_MAIL})(?: \w+){{0,2}}? (?:aan|voor){_NAMED}"
    r")"
)
# What those patterns cannot do without.
_DATA_CUES = word_set(
    "name called live born heiße heisse wohne appelle habite llamo nombre vivo chiamo abito nome chamo moro heet naam 我叫 我的 "
    "dear hi hello hallo liebe lieber bonjour hola ciao"
)
_LETTER_CUES = word_set(
    "write reply respond email mail letter message note text invitation reminder apology schreib schreibe schreiben brief nachricht "
    "antworte antworten écris écrire écrivez lettre escribe escribir carta mensaje correo scrivi scrivere lettera messaggio "
    "escreva escrever mensagem schrijf bericht"
)
_OWN_CUES = word_set(
    "my mine our ours owe paid registered enrolled mein meine meinen meiner meinem meines unser unsere unseren unserer unserem "
    "unseres mon ma mes notre nos mi mis nuestro nuestra nuestros nuestras mio mia mie miei nostro nostra nostri nostre meu "
    "meus minha minhas nosso nossa nossos nossas mijn ons onz onze 我的 我们的 私の мой моя моё мои"
)
