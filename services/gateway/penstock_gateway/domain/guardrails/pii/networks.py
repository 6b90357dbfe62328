"""Addresses of the internet: of version 4 where no version of software is meant, and of version 6."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.numbers import last_of
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

# Analysts write [.] and (.) so that nobody follows an address.
_DOT = r"(?:\.|\[\.\]|\(\.\)|\[dot\])"
_FOUR = re.compile(
    rf"(\d{{1,3}}){_DOT}(\d{{1,3}}){_DOT}(\d{{1,3}}){_DOT}(\d{{1,3}})(?!\d|{_DOT}\d|[A-Za-z_]|-[A-Za-z0-9]*\d)"
)
_FIRST_OF_DOT = frozenset(".[(")
_SIX_AT_ALL = re.compile(r":[0-9A-Fa-f]{0,4}:(?:[0-9A-Fa-f]{1,4}|$|[/\s%])")
_BEFORE_FOUR = re.compile(r"(?:[A-Za-z0-9_.§]|[A-Za-z][/-]|/v|\d[-:])$")
_SIX = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:|:(?=:))[0-9A-Fa-f:]*(?:\d{1,3}(?:\.\d{1,3}){3})?")
_MASK = re.compile(r"(?:net ?mask|subnet ?mask|netzmaske|subnetzmaske|masque|máscara|maschera|wildcard|mask)\W{0,3}$")
_ADDRESS_CUE = re.compile(
    r"(?<![a-z])(?:ips?|ip[_ -]?(?:v4|v6|addr\w*|adress\w*)|ip-\w+|address|addr|adres\w*|adress\w*|hosts?|hostname|servers?|client_ip|peer|remote|from|connection|connect\w*|login|"
    r"gateway|dns|nameserver|ping\w*|ssh|lease|dhcp|interface|eth\d|inet|listen\w*|bind|proxy|vpn|tunnel|nat|nat'ed|subnet|network|route|router|printer|firewall|banned|blocked|block|allow|deny|"
    r"requests?|traffic|source|src|dst|scan\w*|attack\w*|node|endpoint|machine|von|verbindung|zugriff\w*|anmeldung|depuis|serveur|connexion|adresse|desde|servidor|conexión|dirección|"
    r"da|indirizzo|vanaf|verbinding|do|endereço|z|adresu|serwer\w*|с|адрес\w*|сервер\w*|хост\w*|från|a record|via|->|at|to)\b|アドレス|サーバ|地址|服务器|来自|عنوان|خادم"
)
_VERSION_CUE = re.compile(
    r"(?<![a-z])(?:versions?|versión|versione|versão|versie|wersj\w*|верси\w*|ver|v|releases?|firmware|kernel|build|driver|treiber|library|lib\w*|package|paket|upgrade[ds]?|update[ds]?|patch\w*|"
    r"sdk|api|chrome|firefox|safari|edge|opera|agent|client|software|app|installed|changelog|deploy\w*|tag|tagged|rev\w*|section|sections|sec|chapter|clause|paragraph|abschnitt|kapitel|ziffer|"
    r"article|artikel|§+|table|figure|fig|appendix|annex|item|oid|dewey|fassung|stand|bios|rom|plugin|module|modul|image|schema|protocol|assembly|fileversion|productversion|nuget|dll|mise à jour)\b\W{0,3}(?:\w+\W{1,2}){0,2}$|版本|バージョン|الإصدار"
)
_CHAIN = re.compile(r"\d+\.\d+\.\d+\.\d+\W{1,3}(?:to|and|bis|auf|und|à|a|et|y|naar|e|->|→|до|und|,|–|-)\W{1,2}$")
_VERSION_BEHIND = re.compile(
    r"\W{1,3}(?:release|build|of the|version|firmware|hotfix|-beta|beta|rc\d|snapshot|is out|was installed|installed)\b"
)
_PRIVATE_OR_EXAMPLE = re.compile(
    r"(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|169\.254\.|100\.(?:6[4-9]|[789]\d|1[01]\d|12[0-7])\.)"
)
_PORT = re.compile(r":\d{2,5}\b|/\d{1,2}\b| port\b|:/")
_LAST_OCTET = 255
# Below it an address looks like the versions beside it.
_TOLD_BY_WORDS = 0.95


def addresses(scanned: Scanned) -> Iterator[Finding]:
    """Yield the addresses of hosts: no masks, nothing that stands for any host or for this one, no versions."""
    versions: set[str] = set()
    for match in _quads(scanned):
        score = _score(scanned, match)
        if score and not (score < _TOLD_BY_WORDS and match[1] in versions):
            yield Finding(Kind.IP_ADDRESS, match.start(), match.end(), score)
        else:
            versions.add(match[1])
    if _SIX_AT_ALL.search(scanned.text):
        yield from _of_version_6(scanned.text)


def _quads(scanned: Scanned) -> Iterator[re.Match[str]]:
    """Yield four numbers with dots between them."""
    text, last = scanned.text, -1
    for start, end in scanned.runs if "." in text else ():
        if start <= last or end - start > 3 or text[end : end + 1] not in _FIRST_OF_DOT:
            continue
        match = _FOUR.match(text, start)
        if match and not _BEFORE_FOUR.search(text, max(0, start - 2), start):
            last = match.end()
            yield match


def _score(scanned: Scanned, match: re.Match[str]) -> float:
    octets = [int(each) for each in match.groups()]
    plain = ".".join(match.groups())
    if max(octets) > _LAST_OCTET or any(each[0] == "0" and len(each) > 1 for each in match.groups()):
        return 0.0
    if octets[0] in {0, 255} or plain == "127.0.0.1":
        return 0.0
    before = scanned.before(match.start(), 40)
    if _MASK.search(before):
        return 0.0
    if _is_version(scanned, match, before):
        return 0.0
    if _PRIVATE_OR_EXAMPLE.match(plain) or match[0] != plain:
        return 0.95 if not plain.startswith("10.") or last_of(_ADDRESS_CUE, before) >= 0 or match[0] != plain else 0.85
    return _score_of_unknown(scanned, match, octets, before)


def _is_version(scanned: Scanned, match: re.Match[str], before: str) -> bool:
    if version := _VERSION_CUE.search(before):
        if _STRONG_CUE.search(before, version.start()) or _PORT.match(scanned.behind(match.end(), 10)):
            return False
        return not _PRIVATE_OR_EXAMPLE.match(match[0]) or match[0].startswith("10.")
    if chain := _CHAIN.search(before):
        earlier = scanned.before(match.start() - len(before) + chain.start(), 40)
        return bool(_VERSION_CUE.search(earlier)) or (
            bool(re.search(r"(?:from|von|de|da|van|z|с) $", earlier)) and int(match[1]) < 30
        )
    return bool(_VERSION_BEHIND.match(scanned.behind(match.end(), 24))) and int(match[1]) < 30


_STRONG_CUE = re.compile(r"(?<![a-z])(?:ip|ips|host|address|adresse|addr|server|ping|inet)\b")


def _score_of_unknown(scanned: Scanned, match: re.Match[str], octets: list[int], before: str) -> float:
    behind = scanned.behind(match.end(), 10)
    if _PORT.match(behind) or before.endswith(("://", "@")):
        return 0.95
    cued = last_of(_ADDRESS_CUE, before) >= 0
    if max(octets) >= 100:
        return 0.9 if cued else 0.75
    return 0.8 if cued and octets[0] > 9 else 0.0


def _of_version_6(text: str) -> Iterator[Finding]:
    for match in _SIX.finditer(text):
        written = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
        end = match.start() + len(written)
        digits = written.replace(":", "")
        if text[end : end + 1].isalnum() or len(digits) < 4 or not any(each.isdigit() for each in digits):
            continue
        try:
            address = ipaddress.IPv6Address(written)
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified:
            yield Finding(Kind.IP_ADDRESS, match.start(), end, 0.95)
