"""Links that open something for whoever has them: with a secret in the query, the fragment, the path or before the host."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock_gateway.domain.guardrails.pii.entropy import has_mixed_signs, is_placeholder, is_random
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

_URL = re.compile(r"""[^\s<>"'`{}|\\^\u3000-\u303f]+(?:'[^\s<>"'`]{6,})?""")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.-]{1,20}$")
_BARE = re.compile(
    r"(?<![\w@/.:-])(?:[\w-]+\.)+[a-z]{2,12}(?::\d+)?/[^\s<>\"'`|]*[?&#][\w-]{1,24}=[^\s<>\"'`|]{6,}", re.IGNORECASE
)
_USER = re.compile(r"^[^/?#\s@:]*:(?P<secret>[^/?#\s]+)@|^(?P<token>[A-Za-z0-9_\-]{16,})(?::x-oauth-basic)?@")
_PARAMETER = re.compile(r"(?:^|[?&#;])([^=&#?;]{1,40})=([^&#]*)")
# Names of parameters that hold a secret, as parts of a name in small letters.
_SECRET_NAMES = re.compile(
    r"(?:^|[_\-.])(?:(?:access|id|auth|refresh|api|csrf|session|reset|invite|share|login|magic|download|upload|sas|bearer|verification|confirm\w*|unsubscribe|user|x-amz-security|security|oauth|one-?time)?[_\-]?"
    r"(?:tokens?|tok|tkn)|api[_\-]?key|apikey|key|sig|sign|signature|hmac|hash|secret|client_secret|passw\w*|passwd|pwd|pw|pass|pin|passwort|kennwort|passcode|jeton|mdp|motdepasse|clave|contrase\w*|senha|chiave|"
    r"hasl\w*|cle|cl\u00e9|llave|klucz|losenord|wachtwoord|sleutel|codice|auth|authkey|authuser|jwt|sid|session|sess\w*|sessionid|phpsessid|jsessionid|otp|otl|ticket|nonce|invite|invitation|rt|st|at|k|t|s|u|x|code|oobcode|assertion|samlresponse|"
    r"credential|x-amz-signature|x-amz-credential|x-goog-signature|policy|h|p|ak|sk|tk|tok|sas|verify|confirm|magic|access|grant|secure|safe|skey|share|schl[uü]ssel|chave|klucz|code_verifier|tempauth|e|c|r|i|a|z|v|q|id|ref|uid|d|guid|file|f|link)$"
)
# Short names and such that mostly hold no secret: what they hold has to look random.
_WEAK_NAMES = frozenset(
    "k t s u x h p e c r i a z v q id ref uid d guid file f link code st at rt ticket nonce policy hash access share verify confirm grant secure policy session pin sign state".split()
)
_HARMLESS = re.compile(
    r"(?:utm_\w+|gclid|fbclid|msclkid|lang|locale|page|q|query|sort|order|topic|theme|v|version|ver|commit|sha|rev|ref|etag|checksum|md5|sha\d*|digest|cb|cachebust\w*|_|ts|time|expires?|se|sv|exp|state|tab|id)$"
)
_PATH_HINTS = re.compile(
    r"/(?:hooks?|webhooks?|in|incoming|services|invites?|invitations?|join|reset|verify|verification|confirm|confirmation|magic|login|signin|share[ds]?|s|sh|d|dl|o|otl|otp|one-?time|onetime|secret|secrets|token|t|k|r|"
    r"activate|activation|unsubscribe|access|pw|password|recover|recovery|auth|link|l|l/|g|private|rec|view|callback|freigabe|einladung|partage|invitation|compartir|bot)(?:/|$)",
    re.IGNORECASE,
)
_SEGMENT = re.compile(r"/([^/?#]+)")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+$|[0-9A-F]+$")
_TRAILING = ".,;:!?)]}>*_\"'\u3001\u3002\uff0c\uff09"
_LONG = 16
_SHORT = 6


def links(scanned: Scanned) -> Iterator[Finding]:
    """Yield the links that carry a secret, as a whole."""
    text = scanned.text
    if "/" not in text:
        return
    at, last = text.find("://"), 0
    while at >= 0:
        scheme = _SCHEME.search(text, max(last, at - 21), at)
        is_local = scheme and text[max(0, scheme.start() - 5) : scheme.start()].lower() == "jdbc:"
        if scheme and not is_local and (match := _URL.match(text, at + 3)):
            end = _end(text, at + 3, match.end())
            last = end
            if _has_secret(text[at + 3 : end]):
                yield Finding(Kind.URL_WITH_TOKEN, _without_prefix(scheme), end, 0.9)
        at = text.find("://", max(at + 3, last))
    if "=" in text:
        for match in _BARE.finditer(text):
            end = _end(text, match.start(), match.end())
            if _has_secret(text[match.start() : end]):
                yield Finding(Kind.URL_WITH_TOKEN, match.start(), end, 0.8)


def _without_prefix(scheme: re.Match[str]) -> int:
    """Return where the scheme begins, behind what a package's installer puts before it, as in ``git+https``."""
    return scheme.start()


def _end(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1] in _TRAILING:
        if text[end - 1] == ")" and text.count("(", start, end) >= text.count(")", start, end):
            break
        if (
            text[end - 1] in "!*"
            and "=" in text[max(start, end - 40) : end]
            and text[end : end + 1].strip() != ""
            and text[end - 1] == "!"
        ):
            break
        end -= 1
    # A mark that belongs to a password is kept; a sentence's last one goes.
    return end


def _has_secret(rest: str) -> bool:
    """Return whether what stands behind ``://`` carries a secret."""
    host, _, tail = rest.partition("/") if "/" in rest else (rest, "", "")
    if user := _USER.match(rest if "@" in host else ""):
        secret = user["secret"] or user["token"]
        if secret and not is_placeholder(secret):
            return True
    query = tail if "/" in rest else rest
    marks = [place for mark in "?#;" if (place := query.find(mark)) >= 0]
    path = query[: min(marks)] if marks else query
    if marks and any(_is_secret_parameter(name, value) for name, value in _PARAMETER.findall(query[min(marks) :])):
        return True
    if "#" in query and is_random(query.rpartition("#")[2], 20) and "=" not in query.rpartition("#")[2]:
        return True
    return _is_secret_path("/" + path)


def _is_secret_parameter(name: str, value: str) -> bool:
    name = name.lower().rpartition("?")[2]
    if len(value) < _SHORT - 1 or is_placeholder(value):
        return False
    plain = value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    if _HARMLESS.match(name):
        return False
    if _SECRET_NAMES.search(name):
        if name in _WEAK_NAMES:
            return has_mixed_signs(plain, 8) and not _UUID.match(plain)
        return (
            any(each.isdigit() for each in plain)
            or (len(plain) >= 8 and not plain.isalpha())
            or has_mixed_signs(plain, 8)
            or len(plain) >= _LONG
        )
    return is_random(plain, _LONG) and not _UUID.match(plain) and not _HEX.match(plain)


def _is_secret_path(path: str) -> bool:
    hinted = bool(_PATH_HINTS.search(path))
    for segment in _SEGMENT.findall(path):
        if _UUID.match(segment) or segment.rpartition(".")[2].lower() in _FILES:
            if _UUID.match(segment) and _CAPABILITY.search(path):
                return True
            continue
        if hinted and _is_capability(segment, path):
            return True
        if is_random(segment, 20) and not _HEX.match(segment) and has_mixed_signs(segment, 20):
            return True
    return False


_FILES = frozenset(
    "html htm php pdf png jpg jpeg gif svg md txt zip gz tgz git js css json xml yaml yml csv whl mp4 mp3 py go rs java docx xlsx pptx ics".split()
)
_CAPABILITY = re.compile(
    r"/(?:reset|verify|magic|invite|join|activate|confirm|unsubscribe|password|recover|hooks?|webhooks?|one-?time|otl|secret)(?:/|-)",
    re.IGNORECASE,
)


def _is_capability(segment: str, path: str) -> bool:
    if has_mixed_signs(segment, 12):
        return True
    return (
        bool(_CAPABILITY.search(path))
        and len(segment) >= 10
        and any(each.isdigit() for each in segment)
        and any(each.isalpha() for each in segment)
        and not re.match(r"[a-z]+-\d+$|v\d+$", segment)
    )
