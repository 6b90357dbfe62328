"""The languages that a text can be seen to be in, by their ISO 639-1 codes."""

from __future__ import annotations

_CODES = """
af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko lt lv mk ml mn
mr ms my ne nl no pa pl ps pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh zu
"""
LANGUAGES = frozenset(_CODES.split())
