"""Source code: where its definitions begin, and in which ones a place is.

By what lines begin with, and not by a grammar for each language: it takes
broken and mixed files as they come, one pass and no compiled parser. What it
takes amiss, it cuts at a line all the same.
"""

from __future__ import annotations

import re

from penstock_embedding.domain.chunking.outline import Headings, Mark, Outline
from penstock_embedding.domain.chunking.piece import shortened
from penstock_embedding.domain.documents.parsed import Parsed

_MODIFIERS = (
    r"(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|sealed|open|data|async"
    r"|suspend|override|virtual|inline|extern|unsafe|const|partial|pub(?:\([a-z: ]+\))?)[ \t]++)*"
)
_PYTHON = r"(?:async[ \t]+)?(?:def|class)[ \t]+\w"
_BRACES = (
    _MODIFIERS
    + r"(?:(?:class|interface|struct|enum|trait|impl|type|namespace|module|mod|object|record|union|func|fn|fun|function"
    r"|message|service|rpc|protocol|extension)\b[ \t]*[\w*(<&]"
    # A C-like function: words, a name, its parameters, and no ';' that ends a call.
    r"|(?!(?:if|for|while|switch|catch|return|else|do|try|throw|new|await|case|using|import|package)\b)"
    r"[\w<>\[\],.:*&~ \t]*\b\w+[ \t]*\([^;\n]*$"
    # A function as a value.
    r"|(?:const|let|var)[ \t]+\w+[ \t]*(?::[^=\n]*)?=[ \t]*(?:async[ \t]*)?(?:function\b|\([^\n]*=>|\w+[ \t]*=>))"
)
_SQL = r"(?i:(?:create|alter|drop|insert|update|delete|select|with|grant|begin|merge)\b)"
_SHELL = r"(?:function[ \t]+[\w:-]+|[\w:-]+[ \t]*\([ \t]*\))"
_KEY = r"(?:-[ \t]+)?[\w\"'./$-][^:\n]{0,200}:(?=[ \t\r]|$)"
_JSON = r"\"(?:[^\"\\\n]|\\.){1,200}\"[ \t]*:"
_SECTION = r"\[[^\]\n]+\]"
_RUBY = r"(?:def|class|module)[ \t]+\w"


# Neither a comment, a decorator, nor what closes or continues the lines before.
_OTHER_STATEMENT = r"(?=[\w$])"


def _language(pattern: str, columns: int, *, until_next: bool = False) -> re.Pattern[str]:
    """Return what finds definitions by their first lines, which are indented by so many columns at the most.

    A definition ends where less is indented; or ``until_next``, where the next one begins.
    """
    definition = rf"(?P<indent>[ \t]{{0,{columns}}}+)(?={pattern})"
    return re.compile(f"^(?:{definition})" if until_next else f"^(?:{definition}|{_OTHER_STATEMENT})", re.MULTILINE)


_DEEP = 12
_BY_BRACES = _language(_BRACES, _DEEP)
_LANGUAGES = {
    "python": _language(_PYTHON, _DEEP),
    "ruby": _language(_RUBY, _DEEP),
    "sql": _language(_SQL, 0, until_next=True),
    "shell": _language(_SHELL, 0),
    "yaml": _language(_KEY, 0, until_next=True),
    "json": _language(_JSON, 4, until_next=True),
    "toml": _language(_SECTION, 0, until_next=True),
    **dict.fromkeys(
        (
            *("javascript", "jsx", "typescript", "go", "java", "kotlin", "scala", "c", "c++", "csharp", "objective-c"),
            *("rust", "php", "swift", "protobuf", "dart", "vue", "graphql"),
        ),
        _BY_BRACES,
    ),
}
_ALIASES = {
    "shellscript": "shell",
    "sh": "shell",
    "ini": "toml",
    "javascript-source": "javascript",
    "java-source": "java",
}
_OTHER_CODE = frozenset(
    ("powershell", "lua", "r", "perl", "css", "scss", "terraform", "xml", "dockerfile", "elixir", "script")
)
# Lines that belong to the definition below them.
_BELONGS_BELOW = ("#", "//", "/*", "*", "--", "@", "[")
_MOST_LINES_ABOVE = 50


def is_code(media_type: str) -> bool:
    """Return whether a media type is that of source code or of configuration."""
    name = _name_of(media_type)
    return name in _LANGUAGES or name in _OTHER_CODE


def outline_of_code(parsed: Parsed) -> Outline:
    """Return an outline whose best places are definitions, each the heading of what is in it."""
    text = parsed.text
    places: list[int] = []
    marks: list[Mark] = []
    above: list[tuple[int, str]] = []
    for match in _LANGUAGES.get(_name_of(parsed.media_type), _BY_BRACES).finditer(text):
        start = match.start()
        if match["indent"] is None:
            if above:
                above = []
                marks.append(Mark(start, ()))
            continue
        indent = len(match["indent"].expandtabs(4))
        line_end = text.find("\n", start) + 1 or len(text)
        above = [definition for definition in above if definition[0] < indent]
        begins = _with_what_is_above(text, start, marks[-1].place if marks else 0)
        places.append(begins)
        marks.append(Mark(begins, _names(above)))
        above.append((indent, shortened(text[start:line_end].strip().rstrip("{:").strip())))
        marks.append(Mark(line_end, _names(above)))
    return Outline(places=places, marks=marks)


def _with_what_is_above(text: str, start: int, least: int) -> int:
    """Return where comments and decorators begin that stand directly above a line."""
    for _ in range(_MOST_LINES_ABOVE):
        previous = text.rfind("\n", 0, start - 1) + 1 if start else start
        if previous < least or previous == start or not text[previous:start].lstrip().startswith(_BELONGS_BELOW):
            break
        start = previous
    return start


def _names(above: list[tuple[int, str]]) -> Headings:
    return tuple([name for _, name in above if name])


def _name_of(media_type: str) -> str:
    name = media_type.partition(";")[0].rpartition("/")[2].removeprefix("x-")
    return _ALIASES.get(name, name)
