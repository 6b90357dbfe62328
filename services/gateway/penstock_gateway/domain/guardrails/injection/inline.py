"""Where in a text a rule could hold: around words that some rule needs. A look through ordinary text, and no more."""

from __future__ import annotations

from penstock_gateway.domain.guardrails.injection.finding import Surface

_AROUND = 300
_MOST_REGIONS = 8
# Looked for as pieces of words. A rule whose cues have none of these is not seen inline. Those of a group have what stands
# before it, which is looked for first: an ordinary text has few of these, so most groups cost one look.
_Groups = tuple[tuple[str, tuple[str, ...]], ...]
_MARKS: _Groups = (
    ("<", (
        "<|", "<<sys", "<start_of_turn", "</user", "</doc", "</retriev", "</context", "</tool", "</system", "</passage", "</input",
        "</query", "</result", "</prompt", "</question", "</instr", "<system", "<admin", "<!--",
    )),
    ("[", ("[inst", "[system", "[admin")),
    ("#", ("### sys", "### instr", "### to ")),
    ("=", ("=== ",)),
    (":", ("display:none", "font-size:0", '"role":', "system:")),
)  # fmt: skip
_DROP: _Groups = tuple((one, (one,)) for one in (
    "ignor", "disregard", "forget", "overrid", "bypass", "vergiss", "missacht", "oubli", "olvid", "dimentic", "esque", "negeer",
    "zapomn", "unut", "yok say",
))  # fmt: skip
_DROP_FOREIGN = ("игнор", "забуд", "忽略", "忘", "无视", "無視", "무시", "잊", "تجاهل", "انس", "अनदेखा", "भूल")
_USER: _Groups = (
    ("prompt", ("system prompt", "your prompt", "systemprompt", "prompt del sistema")),
    ("instru", ("your instruction", "instructions", "instrucciones", "instruções", "instructies")),
    ("rules", ("your rules", "no rules")),
    ("restrict", ("unrestricted", "no restrictions", "without restrictions")),
    *((one, (one,)) for one in (
        "uncensored", "no filter", "pretend", "act as", "you are now", "developer mode", "jailbreak", "anweisungen", "consignes",
        "istruzioni",
    )),
    ("è", ("message système",)),
)  # fmt: skip
_USER_FOREIGN = (
    "системн",
    "инструкц",
    "系统",
    "提示词",
    "システム",
    "プロンプト",
    "시스템",
    "النظام",
    "التعليمات",
    "सिस्टम",
    "निर्देश",
)
_READ: _Groups = (
    ("tell", ("don't tell", "do not tell")),
    ("mention", ("don't mention", "do not mention")),
    *((one, (one,)) for one in (
        " ai ", "ai:", "ai,", "llm", "agent", "gpt", "claude", "copilot", " ki ", " ia ", "secretly", "password",
    )),
    ("sist", ("assistant", "assistent", "asistente")),
    ("model", ("language model", "sprachmodell")),
    ("bot", ("chatbot", "bots")),
)  # fmt: skip
_READ_FOREIGN = (
    "ассистент",
    "нейросет",
    "助手",
    "人工智能",
    "アシスタント",
    "aiへ",
    "aiは",
    "ai请",
    "ai助",
    "어시스턴트",
    "인공지능",
    "المساعد",
    "الذكاء",
    "सहायक",
    "एआई",
)
_OUTPUT: _Groups = (
    ("](", ("](",)),
    ("<", ("<img", "<iframe", "<script", "<object")),
    ("rules", ("hidden rules", "no rules")),
    ("prompt", ("system prompt", "my prompt")),
    ("told", ("were told", "i was told")),
    *((one, (one,)) for one in ("my instructions", "unfiltered")),
)
_WORDS: dict[Surface, tuple[_Groups, tuple[str, ...]]] = {
    Surface.USER: (_MARKS + _DROP + _USER, _DROP_FOREIGN + _USER_FOREIGN),
    Surface.DOCUMENT: (_MARKS + _DROP + _READ, _DROP_FOREIGN + _READ_FOREIGN),
    Surface.TOOL_OUTPUT: (_MARKS + _DROP + _READ, _DROP_FOREIGN + _READ_FOREIGN),
    Surface.OUTPUT: (_OUTPUT, ()),
}


def regions(text: str, surface: Surface) -> list[tuple[int, int]]:
    """Return the places, at most eight, that rules should look at; none for an ordinary text."""
    low = text.lower()
    if len(low) != len(text):
        return [(0, len(text))]
    words, foreign = _WORDS[surface]
    found = [at for first, group in words if first in low for word in group if (at := low.find(word)) >= 0]
    if not low.isascii():
        found += [at for word in foreign if (at := low.find(word)) >= 0]
    places: list[tuple[int, int]] = []
    for at in sorted(found):
        start, end = max(0, at - _AROUND // 2), min(len(text), at + _AROUND)
        if places and start <= places[-1][1]:
            places[-1] = (places[-1][0], max(end, places[-1][1]))
        else:
            places.append((start, end))
    return places[:_MOST_REGIONS]
