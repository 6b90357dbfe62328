"""Keys, passwords and sessions: by what issuers put first, as blocks of private keys, and by the name of what is set."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock_gateway.domain.guardrails.pii.blocks import blocks
from penstock_gateway.domain.guardrails.pii.entropy import entropy, has_mixed_signs, is_placeholder
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.scanned import Scanned, Word

# By the documentation of who issues them; each is searched in words of 16 and more characters only.
_ISSUED = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?:ant-|proj-|or-|svcacct-|admin-|live-|test-)?[A-Za-z0-9_\-]{16,}|[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}|"
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|gl(?:pat|dt|cbt|rt|ptt|soat|agent|ft|imt)-[A-Za-z0-9_\-.]{16,}|"
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{16,}|(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{12,}|AIza[A-Za-z0-9_\-]{26,}|ya29\.[A-Za-z0-9_\-]{16,}|GOCSPX-[A-Za-z0-9_\-]{16,}|"
    r"SG\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{16,}|npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_\-]{16,}|hf_[A-Za-z0-9]{20,}|rubygems_[a-f0-9]{20,}|"
    r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{16,}|do[opr]_v1_[a-f0-9]{20,}|dckr_(?:pat|oat)_[A-Za-z0-9_\-]{16,}|dapi[a-f0-9]{24,}|hv[sbr]\.[A-Za-z0-9_\-]{16,}|s\.[A-Za-z0-9]{24}(?![A-Za-z0-9])|"
    r"lin_(?:api|oauth)_[A-Za-z0-9]{16,}|fig[du]_[A-Za-z0-9_\-]{16,}|ntn_[A-Za-z0-9]{16,}|secret_[A-Za-z0-9]{24,}|PMAK-[a-f0-9\-]{16,}|NRAK-[A-Z0-9]{16,}|NR[AI][AL]-[A-Za-z0-9]{16,}|"
    r"sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{16,}|EAAA[A-Za-z0-9_\-]{24,}|EAA[A-Za-z0-9]{40,}|key-[a-f0-9]{24,}|re_[A-Za-z0-9]{8,}_[A-Za-z0-9]{8,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}|"
    r"gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|nvapi-[A-Za-z0-9_\-]{20,}|fw_[A-Za-z0-9]{20,}|tvly-[A-Za-z0-9\-]{16,}|sntr[yu]s_[A-Za-z0-9_=+/\-]{16,}|phc_[A-Za-z0-9]{20,}|"
    r"glsa_[A-Za-z0-9_]{20,}|glc_[A-Za-z0-9+/=]{20,}|eyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{6,}(?:\.[A-Za-z0-9_\-]*)?|[0-9]{8,10}:[A-Za-z0-9_\-]{32,}|AC[a-f0-9]{32}|SK[a-f0-9]{32}|T3BlbkFJ[A-Za-z0-9]{16,}|"
    r"atlasv1\.[A-Za-z0-9]{16,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{20,}|pul-[a-f0-9]{30,}|CFPAT-[A-Za-z0-9_\-]{20,}|oy2[a-z0-9]{43}|amzn\.mws\.[a-f0-9\-]{20,}|"
    r"[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,}|\$(?:2[aby]|5|6|argon2id?|y)\$[^\s:\"']{20,})"
)
_LOOKS_ISSUED = re.compile(r"[0-9]|A[KS]IA[A-Z]|[a-z][A-Z][a-zA-Z]*[a-z][A-Z]")
# What begins the name of a secret, in small letters; each is looked for by itself, so they are few.
STEMS = ("pass", "pwd", "secret", "token", "key", "auth", "sess", "cookie")
# These stand as words of their own.
NAME_WORDS = frozenset(
    "credential credentials bearer kennwort contraseña contrasena senha jeton clave schlüssel llave clé cle sleutel chave klucz nyckel lösenord lösenordet wachtwoord geheim geheimnis sid identified pin chiave segreto segreta salt".split()
)
_FAR_STEMS = (
    "пароль",
    "ключ",
    "токен",
    "パスワード",
    "トークン",
    "暗証",
    "密码",
    "密钥",
    "口令",
    "令牌",
    "كلمة",
    "الرمز",
    "رمز",
    "hasł",
    "lösenord",
    "пароля",
    "пароле",
)
_NAME_REST = r"[\w\-.]{0,32}[\"'`\])]{0,2}(?: id)?(?:\s?\[[^\]\n]{0,24}\])?"
_SAID = r"is|was|ist|war|lautet|est|es|era|è|é|jest|to|är|было|это|:|=|は|が|是|为|هي|هو|:|："
_ASSIGNED = re.compile(
    rf"{_NAME_REST}\s{{0,3}}(?::=|=>|==|=|:|：|\s(?=[\"'`]))\s{{0,3}}(?P<value>\"[^\"\n]{{4,200}}\"|'[^'\n]{{4,200}}'|`[^`\n]{{4,200}}`|[^\s\"'`,;<>()|、。，]+)"
)
_SPOKEN_OF = re.compile(
    rf"{_NAME_REST}(?P<between>(?:\s+[\w/'-]+(?:\([^)\n]*\))?,?){{0,7}}?)\s*(?:\s(?:{_SAID})\s|:\s?|：|はは?|は|是|为)\s*(?:now |still |jetzt |ahora |[\"'`„“])?(?P<value>[^\s\"'`,;<>]+)"
)
_ARGUMENT = re.compile(rf"{_NAME_REST}\s?,\s?(?P<value>\"[^\"\n]{{4,200}}\"|'[^'\n]{{4,200}}')")
# What programs are told on the command line: -p SECRET, -u name:SECRET, and a line of .netrc.
_COMMANDS = re.compile(
    r"\b(?:docker|podman|mysql\w*|mariadb\w*|sshpass|psql|mongo\w*|redis-cli|htpasswd|az|helm|smbclient|ldap\w+|curl|wget|rabbitmqadmin|svn|influx|kinit)\b[^\n|;]{0,140}?\s(?:-[pPaw]\s?|--?pass(?:word|wd|phrase)?[ =]|-u\s?[\w.\-@]+:|--user[ =][\w.\-@]+:)[\"']?(?P<value>[^\s\"']{6,})|"
    r"\blogin\s+\S+\s+password\s+(?P<netrc>\S{4,})|\s--?pass(?:word|wd|phrase)[ =][\"']?(?P<option>[^\s\"'|;]{6,})"
)
COMMAND_WORDS = frozenset(
    "docker podman mysql mysqldump mysqladmin mariadb sshpass psql mongo mongosh mongodump redis htpasswd az helm smbclient ldapsearch curl wget rabbitmqadmin svn influx kinit password passwd passphrase".split()
)
_FOLLOWED = re.compile(rf"{_NAME_REST}\s+(?:id |ids |value )?[\"'`]?(?P<value>[^\s\"'`,;<>()]+)")
_BASIC = re.compile(r"\W*(?:bearer|basic|token|apikey|digest)\s+(?P<value>[A-Za-z0-9+/=_\-.~]{8,})", re.IGNORECASE)
_PASSWORD = re.compile(r"pass(?:w|phr|code|key|_|-|e\b|[^a-z]|$)(?<!pass-nr)(?<!pass-n)")
_KEY_QUALIFIED = re.compile(
    r"(?:api|app|access|secret|private|auth|sign(?:ing|ature)?|encrypt\w*|decrypt\w*|master|account|shared|storage|service|admin|license|licence|hmac|aes|jwt|maps|client|consumer|deploy|write|read|ssh|wifi|wlan|wpa2?|psk|"
    r"pre-?shared|integration|stripe|openai|aws|azure|gcp|google|sendgrid|mail\w*|twilio|datadog|dd|\w+_)[ _\-.]?$"
)
_KEY_OTHERWISE = re.compile(
    r"(?:cache|primary|foreign|partition|sort|idempotency|public|row|hash|object|redis|translation|composite|candidate|host|dedupe?|routing|lookup|group|map|dict|s3|pk|issue|jira|answer|low|tur|mon|don|hot|or)[ _\-.]?$"
)
_PLAIN_WORDS = frozenset(
    "required optional disabled enabled expired invalid missing string reset change changed forgotten vergessen geändert protected policy manager length incorrect wrong correct unchanged unknown empty changed spoken".split()
)
# A German passport is a "Pass".
_PAPER = re.compile(r"[A-Z](?=[A-Z0-9]*\d)[A-Z0-9]{7,9}")
_MAX_VALUE = 400
# Of a line, what is looked at before a name and behind its beginning.
_LINE_BEFORE, _LINE_BEHIND = 200, 80
_ASSIGNMENT = re.compile(r"[\w.\-]\s?=\s?\S")
_NEXT_PARAMETER = re.compile(r"&[\w.\-]+=|;[\w .\-]+=")
_KEYS = frozenset("schlüssel llave clé cle sleutel chave klucz nyckel".split())
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$", re.IGNORECASE)


def keys(scanned: Scanned) -> Iterator[Finding]:
    """Yield keys, passwords and sessions. A private key is its whole block, or what there is of it."""
    text = scanned.text
    if "PRIVATE KEY" in text:
        yield from (Finding(Kind.API_KEY, start, end, 1.0) for start, end in blocks(text))
    for word in scanned.long_words:
        if _LOOKS_ISSUED.search(word.text):
            yield from _issued(word)
    yield from _named(scanned)
    if (not COMMAND_WORDS.isdisjoint(scanned.words) and "-" in text) or "login" in scanned.words:
        yield from _told_to_commands(text)


def _issued(word: Word) -> Iterator[Finding]:
    for match in _ISSUED.finditer(word.text):
        if not is_placeholder(match[0]) and has_enough_signs(match[0]):
            yield Finding(Kind.API_KEY, word.start + match.start(), word.start + match.end(), 0.98)


# What the expression of commands begins with.
_COMMANDS_BEGIN = (
    "docker", "podman", "mysql", "mariadb", "sshpass", "psql", "mongo", "redis-cli", "htpasswd", "az", "helm", "smbclient", "ldap",
    "curl", "wget", "rabbitmqadmin", "svn", "influx", "kinit", "login",
)  # fmt: skip


def _commands(text: str) -> Iterator[re.Match[str]]:
    """Yield what programs are told, where one is named: for all of a text the expression takes long."""
    starts = set[int]()
    for begins, before in (*((one, 0) for one in _COMMANDS_BEGIN), ("-pass", 1), ("--pass", 1)):
        at = text.find(begins)
        while at >= 0:
            starts.add(max(0, at - before))
            at = text.find(begins, at + 1)
    end = 0
    for start in sorted(starts):
        if start >= end and (match := _COMMANDS.match(text, start)):
            yield match
            end = match.end()


def _told_to_commands(text: str) -> Iterator[Finding]:
    for match in _commands(text):
        value = match["value"] or match["netrc"] or match["option"]
        if not is_placeholder(value) and (any(each.isdigit() for each in value) or match["netrc"]):
            start = match.start(match.lastgroup or "value")
            yield Finding(Kind.API_KEY, start, start + len(value), 0.85)


def has_enough_signs(value: str) -> bool:
    """Return whether a key by its form is more than a word with a prefix."""
    body = value[4:]
    mixed = any(each.isdigit() for each in body) or len(re.findall(r"[a-z][A-Z]|[A-Z][a-z]", body)) > 3
    return (mixed or (body.isupper() and body.isalpha())) and entropy(value) > 2.5 and len(value) >= 16


def _named(scanned: Scanned) -> Iterator[Finding]:
    lower = scanned.lower
    stems = (*STEMS, *(NAME_WORDS & scanned.words), *(() if scanned.is_ascii else _FAR_STEMS))
    for stem in stems:
        at = lower.find(stem)
        while at >= 0:
            if found := _value_of(scanned, stem, at):
                yield Finding(Kind.API_KEY, found[0], found[1], 0.9)
            at = lower.find(stem, at + len(stem))


def _value_of(scanned: Scanned, stem: str, at: int) -> tuple[int, int] | None:
    """Return where the value is that this name is given, if it is a secret."""
    if not _is_a_name(scanned, stem, at):
        return None
    text, behind = scanned.text, at + len(stem)
    limit = min(len(text), behind + _MAX_VALUE)
    if match := _ASSIGNED.match(text, behind, limit):
        scheme = _BASIC.match(text, match.start("value"), limit)
        found = scheme or match
        if stem == "pass" and _is_a_paper(text[behind : match.start("value")], match["value"]):
            return None
        if _is_set(scanned, stem, found["value"], at):
            return _trimmed(text, *found.span("value"))
        if stem != "pass" or scheme:
            return None
    if (match := _ARGUMENT.match(text, behind, limit)) and _is_set(scanned, stem, match["value"], at):
        return _trimmed(text, *match.span("value"))
    return _said_value(text, stem, behind, limit)


def _is_a_name(scanned: Scanned, stem: str, at: int) -> bool:
    """Return whether a secret may be called so: an author is no "auth", a passage no "pass"."""
    lower = scanned.lower
    if stem == "auth":
        return not lower.startswith(("author", "authen"), at) or lower.startswith("authoriz", at)
    if stem == "pass":
        return _PASSWORD.match(lower, at) is not None
    return stem != "key" or _may_be_a_key(scanned, at)


def _is_a_paper(between: str, value: str) -> bool:
    return between.strip() in {":", "="} and _PAPER.fullmatch(value.rstrip(".,;")) is not None


def _said_value(text: str, stem: str, behind: int, limit: int) -> tuple[int, int] | None:
    """Return where a value is that a sentence says: right behind its name, or behind "is"."""
    if match := _FOLLOWED.match(text, behind, limit):
        value = match["value"].rstrip(".,;:!?")
        if _is_random_value(stem, value):
            return match.start("value"), match.start("value") + len(value)
    match = _SPOKEN_OF.match(text, behind, limit)
    if match and "\n" not in match["between"] and _is_spoken_secret(stem, match["value"]):
        return _trimmed(text, *match.span("value"))
    return None


def _may_be_a_key(scanned: Scanned, at: int) -> bool:
    before = scanned.before(at, 24)
    if _KEY_OTHERWISE.search(before):
        return False
    return bool(_KEY_QUALIFIED.search(before)) or not before[-1:].isalpha()


def _is_set(scanned: Scanned, stem: str, value: str, at: int) -> bool:
    """Return whether a value that a name is set to is a secret."""
    quoted = value[0] in "\"'`"
    value = _NEXT_PARAMETER.split(value.strip("\"'`").rstrip(".,;"), maxsplit=1)[0]
    if len(value) < 5 or is_placeholder(value) or value.lower() in _PLAIN_WORDS or "://" in value:
        return False
    if value.startswith(("sha256:", "SHA256:", "/", "./", "~/", "MD5:", "@")) or value.endswith(("()", "(")):
        return False
    if (
        stem
        in {"token", "key", "auth", "cookie", "credential", "credentials", "salt", "chiave", "clave", "pin"} | _KEYS
    ):
        return _is_key_like(scanned, stem, value, at)
    if value.replace(".", "").replace(":", "").isdigit():
        return (
            stem in {"pass", "pwd", "secret", "kennwort", "contraseña", "contrasena", "senha", "wachtwoord"}
            and len(value) >= 6
        )
    if any(not each.isalpha() for each in value) and " " not in value:
        return len(value) >= 6 or quoted
    return _is_word_in_configuration(scanned, value, at, quoted=quoted)


def _is_word_in_configuration(scanned: Scanned, value: str, at: int, *, quoted: bool) -> bool:
    """Return whether a plain word is set where machines read it."""
    if scanned.lower[max(0, at - 12) : at].rpartition("&")[1] or "?" in scanned.lower[max(0, at - 2) : at]:
        return False
    earliest = max(0, at - _LINE_BEFORE)
    line = scanned.lower[max(earliest, scanned.lower.rfind("\n", earliest, at) + 1) : at + _LINE_BEHIND]
    assigned = _ASSIGNMENT.search(line)
    return len(value) >= 6 and " " not in value and bool(assigned or (quoted and re.search(r"[\"']\s?:\s?[\"']", line)))


def _is_key_like(scanned: Scanned, stem: str, value: str, at: int) -> bool:
    if value.isdigit():
        return False
    if stem in {"clave", "chiave", "pin"}:
        return any(each.isdigit() for each in value) and len(value) >= 6 and has_mixed_signs(value, 6)
    if _UUID.match(value):
        return stem in {"token", "auth"} or bool(_KEY_QUALIFIED.search(scanned.before(at, 24)))
    if len(value) >= 8 and any(each.isdigit() for each in value) and has_mixed_signs(value, 8):
        return (
            stem != "key"
            or bool(_KEY_QUALIFIED.search(scanned.before(at, 24)))
            or (entropy(value) > 3 and len(value) >= 16)
        )
    return (
        len(value) >= 16
        and entropy(value) > 3
        and " " not in value
        and not value.isalpha()
        and not re.fullmatch(r"[a-z_.\-/]+", value)
    )


def _is_random_value(stem: str, value: str) -> bool:
    if (
        is_placeholder(value)
        or (_UUID.match(value) and stem not in {"sess", "token", "key"})
        or "://" in value
        or "@" in value
    ):
        return False
    least = (
        8
        if stem
        in {"pass", "pwd", "kennwort", "identified", "wachtwoord", "contraseña", "contrasena", "senha", "lösenord"}
        else 14
    )
    return has_mixed_signs(value, least) and entropy(value) >= 2.5 and not value.startswith(("SHA256", "sha256", "MD5"))


def _is_spoken_secret(stem: str, value: str) -> bool:
    """Return whether a value that a sentence calls a password or a key is no word of the sentence."""
    value = value.rstrip(".,;:!?)") if not value.endswith("!") or len(value) < 6 else value
    if len(value) < 6 or is_placeholder(value) or "://" in value or ("@" in value and "." in value):
        return False
    if stem in {
        "pass",
        "pwd",
        "kennwort",
        "contraseña",
        "contrasena",
        "senha",
        "wachtwoord",
        "lösenordet",
        "lösenord",
        "hasł",
        "пароль",
        "パスワード",
        "密码",
        "口令",
        "كلمة",
        "clave",
        "secret",
        "segreto",
        "segreta",
        "geheim",
        "暗証",
    }:
        digits = sum(each.isdigit() for each in value)
        letters = sum(each.isalpha() for each in value)
        signs = len(value) - digits - letters
        return (
            letters > 0
            and (digits > 0 or signs > 1)
            and not re.fullmatch(r"\d+[./:-]?[a-z]{1,3}|[a-z]+[-'/][a-z]+|\d+-\w+", value.lower())
        ) or (not letters and digits >= 6 and stem != "secret" and False)
    return has_mixed_signs(value, 12) and entropy(value) >= 3


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    if cut := _NEXT_PARAMETER.search(text, start, end):
        end = cut.start()
    while start < end and text[start] in "\"'`“„":
        start += 1
    while end > start and text[end - 1] in "\"'`.,;”":
        end -= 1
    return (start, end) if end - start >= 5 else None
