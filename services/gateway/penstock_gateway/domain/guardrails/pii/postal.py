"""Postal addresses, as each country writes them: from the street or who is there to the last part given."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind

_UP = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŌŐŒŔŘŚŞŠŢŤŪŮŰŲŸŹŻŽȘȚ"
_LOW = "a-zß-öø-ÿāăąćčďđēėęěğģīįıķĺļľłńņňōőœŕřśşšţťūůűųÿźżžșț"
# Words have at most so many letters: each place of a text is looked at once for each of them.
_WORD_LENGTH = 40
_REST = rf"[{_UP}{_LOW}'\-]{{0,{_WORD_LENGTH}}}"
_CAPITAL = rf"[{_UP}]{_REST}\.?"
_ANY_WORD = rf"[{_UP}{_LOW}]{_REST}\.?"
_TITLE = rf"(?:St\.|[{_UP}](?:[{_LOW}'\-]{_REST})?)"
_PLACE = rf"(?:{_TITLE})(?:[ -](?:{_TITLE}|am|an|der|im|in|de|la|le|les|del|di|do|da|sur|sous|upon|on|under|ob|bei|op|aan|den|i|nad)){{0,4}}"
_NUMBER = r"\d{1,5}(?:\s?[-/–]\s?\d{1,5})?\s?(?:[A-Za-z]\b)?(?:-[IVX]{1,8}\b)?"
_UK_CODE = r"[A-Z]{1,2}\d{1,2}[A-Z]?\s?\d[A-Z]{2}\b"
_US_CODE = r"[A-Z]{2}\.?,? \d{5}(?:-\d{4})?\b"
_COUNTRY = r"(?:, ?(?:UK|U\.K\.|USA|U\.S\.A\.|Ireland|England|Scotland|Wales|Germany|France|Spain|Italy|Poland|Sweden|Canada|Australia|Deutschland|Österreich|Schweiz|España|Italia|Portugal|Polska|Sverige|Nederland|Belgique|België|Suisse))?"
_STREETS = (
    "Street|St|Road|Rd|Lane|Ln|Avenue|Ave|Av|Drive|Dr|Close|Court|Ct|Crescent|Cres|Way|Walk|Row|Place|Pl|Square|Sq|Terrace|Gardens|Gdns|Grove|Hill|Mews|Yard|Parade|Loop|Boulevard|Blvd|Park|View|Green|Rise|Quay|Wharf|Estate|Parkway|Pkwy|"
    "Circle|Cir|Trail|Trl|Path|Alley|Bridge|Broadway|Highway|Hwy|Route|Turnpike|Esplanade|Promenade|Embankment|Circus|Croft|Dene|Drove|End|Gate|Heights|Mead|Meadow|Meadows|Mount|Passage|Point|Ridge|Side|Spur|Vale|Villas|Wynd|Fold|Garth|Chase|Approach|Bank|Bend|Common|Corner|Cottages|Field|Fields|Market|Orchard|Plaza|Run|Crossing|Landing|Hollow|Glen|Bypass|Arcade|Pike|Strand|Causeway|Cove"
)
_UNIT = r"(?:(?:Flat|Unit|Apt|Apartment|Suite|Ste|Room|Floor|Studio|Block|Lot|Plot|Shop|Office|Level|Building|Bldg)\.?\s(?:No\.?\s)?[A-Z]?\d{0,4}[A-Za-z]?|(?:Top|Ground|First|Second|Third|Upper|Lower|\d(?:st|nd|rd|th))[ -][Ff](?:loor|lat)|#\d+[A-Z]?)"
_HOUSE = rf"(?:(?:The )?{_CAPITAL}(?: {_CAPITAL}){{0,2}} (?:Cottage|House|Lodge|Farm|Hall|Barn|Forge|Mill|Villa|Manor|Rectory|Vicarage|Court|Grange|Mansions|Works|Chambers|Tower|Centre|Center|Mansion|Stables|Granary|Bungalow|Cabin)|The (?:Old )?{_CAPITAL}(?: {_CAPITAL})?)"
_COMPANY = rf"(?:c/o {_ANY_WORD}(?: (?:& )?{_ANY_WORD}){{0,4}}|{_CAPITAL}(?: {_CAPITAL}){{0,3}} (?:Ltd|Inc|LLC|plc|Limited|GmbH|AG|Joinery|Bakery|School|College|Clinic|Surgery|Hotel|Stables|Garage|Workshop|Studio|Nursery|Brewery|Pharmacy|Practice|Solicitors|Partners|Consulting|Logistics)\.?)"
_TAIL = rf"(?:,? ?\n?(?:{_UNIT}|{_PLACE}(?= ?(?:,|{_UK_CODE}|\d|$|[.;:?!)\n]|from|and|is|until|to|in|or|für|,))))"
_BEHIND = rf"(?:,\s?{_UNIT}|,\s?\n?{_PLACE}(?:,? (?:{_UK_CODE}|{_US_CODE}|[A-Z]{{2,3}} \d{{4}}\b|\d{{4,6}}\b|[A-Z]\d[A-Z] \d[A-Z]\d\b|[A-Z]\d{{2}} [A-Z0-9]{{4}}\b))?|,?\s(?:{_UK_CODE}|{_US_CODE}))"
_ENGLISH = re.compile(
    rf"(?<![\w/.-])(?:{_COMPANY},\s)?(?:{_UNIT},?\s)?(?:{_HOUSE},\s)?{_NUMBER},?\s(?:{_CAPITAL}\s){{0,4}}(?:[NSEW]\.? )?(?:{_STREETS})\b\.?(?:\s(?:Street|Road|Estate|North|South|East|West|N|S|E|W|NW|NE|SW|SE))?(?:{_BEHIND}){{0,5}}{_COUNTRY}"
)
_ENGLISH_HOUSE = re.compile(
    rf"(?<![\w/.-])(?:{_COMPANY},\s)?(?:{_UNIT},\s(?:{_HOUSE},\s)?|{_HOUSE},\s)(?:{_CAPITAL}\s){{1,3}}(?:{_STREETS})\b(?:\s(?:Estate))?(?:{_BEHIND}){{0,5}}{_COUNTRY}"
)
_BOX = re.compile(
    rf"(?<!\w)(?:P\.?\s?O\.?\s?)?(?:Box|Postfach|B\.?P\.?|Apartado(?: de Correos)?|Postbus|Casella Postale|Skr\. poczt\.|Caixa Postal|Boîte postale)\s(?:No\.?\s)?\d[\d ]{{1,6}}\d?(?:,\s?(?:\d{{4,5}}\s)?{_PLACE}(?:\s(?:{_UK_CODE}|{_US_CODE}|\d{{4,6}}))?){{1,4}}"
)
_GERMAN_ENDS = "straße|strasse|str\\.|weg|gasse|allee|platz|ring|ufer|damm|park|hof|steig|stieg|pfad|chaussee|graben|berg|markt|tor|kamp|twiete|wall|zeile|siedlung|anger|brücke|bogen|winkel|rain|höhe|heide|feld|grund|garten|gärten|promenade|kai|stätte|dorf|bach|tal|leite|reihe|deich|holz|wiese|wiesen|acker|mühle"
_CITY = rf"(?:[A-Z]{{1,3}}-)?\d{{4,5}}(?:\s?[A-Z]{{2}})?\s{_PLACE}"
_GERMAN = re.compile(
    rf"(?<![\w/.-])(?:(?:{_CAPITAL}[ -]){{0,3}}[{_UP}][{_LOW}]{{1,{_WORD_LENGTH}}}(?:-[{_UP}][{_LOW}]{{1,{_WORD_LENGTH}}}){{0,4}}-?(?i:{_GERMAN_ENDS})|(?:{_CAPITAL} )?(?:Straße|Str\.|Weg|Allee|Platz|Ring|Gasse|Ufer|Damm|Markt)|(?:Am|An der|An den|Auf der|Auf dem|Im|In der|In den|Zum|Zur|Unter den|Hinter der|Beim|Alte|Neue|Obere|Untere|Unterm|Vor dem|Hinterm)\s{_CAPITAL}(?: {_CAPITAL})?)"
    rf"\s\d{{1,4}}\s?(?:[a-z]\b)?(?:\s?[-/]\s?\d{{1,4}}[a-z]?)?(?:,?\s(?:Hinterhaus|Whg\.|Wohnung|Stiege|Top|\d\. ?OG|EG|DG|\d\. Stock)\s?\d*)?(?:,?\s?\n?(?:in )?{_CITY})?",
)
_DUTCH_ENDS = "straat|laan|weg|plein|gracht|kade|pad|dijk|singel|hof|steeg|dreef|markt|plantsoen|wal|haven|baan|park|ring|veld|akker|poort|brink|boulevard|dwarsstraat|lei|vest|berg|burg"
_DUTCH = re.compile(
    rf"(?<![\w/.-])(?:{_CAPITAL} )?(?:[{_UP}][{_LOW}\-]{{0,{_WORD_LENGTH}}}(?:{_DUTCH_ENDS})|(?:Laan|Weg|Plein|Prins|Koningin)\s(?:van (?:de |het |der )?)?{_CAPITAL})\s\d{{1,4}}(?:[ -]?(?:[a-zA-Z]|[IVX]{{1,6}}|bis|hs))?\b(?:,?\s\d{{4}}\s?[A-Z]{{2}}\s{_PLACE}|,\s{_CITY}|,\s?{_PLACE})"
)
_SWEDISH = re.compile(
    rf"(?<![\w/.-])(?:{_CAPITAL} )?[{_UP}][{_LOW}\-]{{0,{_WORD_LENGTH}}}(?:gatan|vägen|gränd|torget|torg|stigen|allén|backen|gata|väg|stig|platsen|plan|kajen|leden|vej|gade|veien|gaten|gården)\s\d{{1,4}}\s?(?:[A-Z]\b)?(?:,?\s(?:lgh \d{{1,5}},?\s)?(?:SE-|S-)?\d{{3}}\s?\d{{2}}\s{_PLACE}|,\s{_CITY})?"
)
_FRENCH_KINDS = "rue|avenue|av\\.|boulevard|bd|impasse|allée|allées|place|chemin|quai|route|cours|passage|square|sentier|ruelle|résidence|faubourg|esplanade|promenade|villa|cité|montée|traverse|lotissement|hameau|venelle|clos|mail|rond-point|voie|parvis"
_FRENCH = re.compile(
    rf"(?i:(?<![\w/.-])(?:(?:appt?\.?|appartement|bât\.?|bâtiment|résidence|étage|esc\.?)\s[\w' -]{{1,24}},\s){{0,3}}\d{{1,4}}(?:\s?(?:bis|ter|quater|[a-d]))?,?\s(?:{_FRENCH_KINDS}))\s[{_UP}{_LOW}0-9'\-]{{1,{_WORD_LENGTH}}}(?:\s[{_UP}{_LOW}0-9'\-]{{1,{_WORD_LENGTH}}}){{0,6}}?\s?(?=,|\s\d{{4,5}}\s|[.;\n)]|$)(?:,?\s?\n?\d{{4,5}}\s{_PLACE}(?:\sCedex(?:\s\d{{1,3}})?)?|,\s{_PLACE})?"
)
_SPANISH_KINDS = "calle|c/|avenida|avda\\.?|av\\.|plaza|pza\\.?|paseo|pº|camino|carretera|ctra\\.?|ronda|travesía|callejón|glorieta|urbanización|urb\\.|carrer|rúa|cuesta|pasaje|bulevar|colonia|rambla|via|viale|v\\.le|piazza|piazzale|p\\.zza|corso|c\\.so|vicolo|largo|strada|contrada|località|lungomare|salita|calata|borgo|rua|r\\.(?=\\sd[aoe]s?\\s)|travessa|praça|largo|estrada|alameda|beco|rotunda|calçada|praceta|quinta|rodovia|ladeira"
_SPANISH = re.compile(
    rf"(?<![\w/.-])(?i:{_SPANISH_KINDS})\s?(?:(?i:de|del|della|delle|dei|degli|di|da|do|dos|das|la|las|los|el|dell'|d')\s?){{0,4}}[{_UP}\d][{_UP}{_LOW}'\-.]{{0,{_WORD_LENGTH}}}(?:\s(?:{_ANY_WORD}|y|e)){{0,5}}?,?\s(?:n\.?[º°o]?\s?|nº\s?|núm\.\s?|s/n)?\d{{1,5}}\s?(?:[a-zA-Z]\b)?(?:/\w{{1,9}})?(?:,?\s(?:\d{{1,2}}\.?[ºª°](?:\s?(?:[A-Z]\b|izq\.?|dcha\.?|Dto\.?|Esq\.?|D\b|E\b|Frente))?|(?:piso|planta|puerta|esc\.|escalera|int\.|interno|scala|apto\.?|apartamento|andar|lote|bloque)\s\w{{1,9}})){{0,6}}(?:,?\s?\n?(?:\d{{5}}(?:-\d{{3}})?|\d{{4}}-\d{{3}})\s{_PLACE}(?:\s\([A-Z]{{2}}\))?|,\s{_PLACE}(?:,?\s\d{{4,5}}\b)?)?"
)
_POLISH = re.compile(
    rf"(?i:(?<![\w/.-])(?:ul\.|ulica|ulicy|al\.|aleja|alei|aleje|pl\.|placu?|os\.|osiedle|osiedlu|rynek))\s(?:{_CAPITAL}\s|\d{{1,5}} ){{1,4}}\d{{1,4}}[a-zA-Z]?(?:\s?(?:/|m\.|lok\.|m)\s?\d{{1,4}}[a-z]?)?(?:,?\s?\n?\d{{2}}-\d{{3}}\s{_PLACE}|,\s{_PLACE})?"
)
_RU_WORD = r"[А-ЯЁ][А-Яа-яЁё\-]{1,40}"
_RUSSIAN = re.compile(
    rf"(?<!\w)(?:\d{{6}},?\s)?(?:(?:г\.|город|гор\.|пос\.|с\.|дер\.)\s?{_RU_WORD},?\s)?(?:{_RU_WORD},\s)?(?:ул\.|улица|улице|пр\.|пр-т|просп\.|проспект|проспекте|пер\.|переулок|переулке|пл\.|площадь|площади|наб\.|набережная|ш\.|шоссе|бул\.|бульвар|б-р|проезд|тупик)\s?(?:{_RU_WORD}|\d{{1,4}}-\w{{1,6}})(?:\s{_RU_WORD})?"
    rf"(?:,?\s?(?:д\.|дом|кв\.|квартира|корп\.|корпус|к\.|стр\.|строение|под\.|офис|оф\.)?\s?\d{{1,4}}[а-яА-Я]?(?:/\d{{1,4}})?){{0,8}}(?:,?\s(?:г\.|город|гор\.|пос\.|с\.)?\s?{_RU_WORD}(?=[,.\s;]|$))?(?:,?\s\d{{6}})?"
)
_JAPANESE = re.compile(
    r"(?:〒?\d{3}-\d{4}\s?)?(?:東京都|北海道|(?:大阪|京都)府|[\u4e00-\u9fff]{2,3}県)?[\u4e00-\u9fff\u3041-\u3096\u30a1-\u30faヶケ々]{1,8}?[市区郡町村][\u4e00-\u9fff\u3041-\u3096\u30a1-\u30faー々]{0,12}?(?:\d{1,4}丁目)?\d{1,4}(?:[-番の]\d{1,4}){0,3}(?:番地|番|号)?(?:\d{0,3}号)?(?:\s?[\u4e00-\u9fff\u30a1-\u30faーA-Z]{2,14}\s?\d{1,4}号?室?)?"
)
_CHINESE = re.compile(
    r"(?:[\u4e00-\u9fff]{2,8}?(?:省|自治区))?(?:[\u4e00-\u9fff]{2,6}?市)?(?:[\u4e00-\u9fff]{1,6}?[区县镇乡])?[\u4e00-\u9fff\d]{1,12}?(?:路|街|道|巷|弄|大道|胡同|村|里)(?:[\u4e00-\u9fff]{0,3})?\d{1,5}号?(?:[\u4e00-\u9fff]{0,8}?\d{1,4}(?:号楼|栋|幢|座|单元|楼|层|室|房|号)){0,6}"
)
_ARABIC = re.compile(
    r"(?:رقم\s)?\d{0,4}\s?(?:شارع|طريق|جادة|حي|زقاق|ميدان)\s[\u0621-\u064a]{1,30}(?:\s[\u0621-\u064a]{1,30}){0,2}(?:[،,]\s?(?:[\u0621-\u064a]{1,30}\s?){0,3}\d{0,5}(?:\s?[\u0621-\u064a]{1,30})?){0,4}"
)
_CHINESE_LEAD = re.compile(r"^(?:我|住址?|地址|家住|寄到|送到|送货|收货|请|在|于|是|为|到|至|址|的|现|居|搬|去|了)+")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_DIGIT = re.compile(r"\d")
_LATIN = (_ENGLISH, _ENGLISH_HOUSE, _BOX, _GERMAN, _DUTCH, _SWEDISH, _FRENCH, _SPANISH, _POLISH)


def postal_addresses(text: str, known: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the addresses; a city alone, or a street without a number, is none."""
    if not _DIGIT.search(text):
        patterns: tuple[re.Pattern[str], ...] = (_ENGLISH_HOUSE,)
    elif text.isascii():
        patterns = _LATIN
    else:
        patterns = (*_LATIN, _RUSSIAN)
    found: list[tuple[int, int]] = []
    taken = _Taken(known)
    for pattern in patterns:
        for match in pattern.finditer(text):
            end = match.start() + len(match[0].rstrip(" ,.;\n"))
            if is_address(text, match.start(), end, taken):
                found.append((match.start(), end))
    if _HAN.search(text):
        found += _eastern(text)
    if "شارع" in text or "طريق" in text or "حي " in text:
        found += [
            (match.start(), len(text[: match.end()].rstrip(" ،,")))
            for match in _ARABIC.finditer(text)
            if _DIGIT.search(match[0])
        ]
    found += _by_code(text)
    for start, end in _merged(found):
        yield Finding(Kind.ADDRESS, start, end, 0.85)


class _Taken:
    """What is known to be something else, by where it stands."""

    def __init__(self, known: Sequence[Finding]) -> None:
        self._starts = [one.start for one in known]
        self._ends = [one.end for one in known]

    def overlaps(self, start: int, end: int) -> bool:
        """Return whether something known reaches into these places; what is known is in order, without overlaps."""
        at = bisect_right(self._ends, start)
        return at < len(self._starts) and self._starts[at] < end


def is_address(text: str, start: int, end: int, taken: _Taken) -> bool:
    """Return whether a match holds nothing that is known to be something else, and no date or amount."""
    if taken.overlaps(start, end):
        return False
    value = text[start:end]
    if "," in value or _CITY_BEHIND.search(value):
        return True
    return not _NO_ADDRESS.search(value)


_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember"
_CITY_BEHIND = re.compile(rf"\d.*\s\d{{4,6}}\s[{_UP}]|{_UK_CODE}|{_US_CODE}")
# Without a town behind it they are as often something else.
_NO_ADDRESS = re.compile(
    rf"(?i:platz|ring|park|hof|berg|markt|tor|kamp|wall|zeile|anger|bogen|winkel|rain|höhe|heide|feld|grund|garten|gärten|stätte|dorf|bach|tal|leite|reihe|deich|holz|wiesen?|acker|mühle|damm|graben|steig|"
    rf"torg|torget|plan|platsen|backen|stig|leden|gården|brücke|ufer|kai) \d+\w?$|^\d+\w? .*(?:Run|View|Point|Way|End|Gate|Side|Park|Court|Ct|Market|Fields?|Bank|Common|Plaza|Corner|Place|Pl|Dr|St|Green|Row|Bridge|Path|Walk|Rise|Hill|Chase|Approach|Bend|Crossing|Passage|Landing|"
    rf"Mount|Level|Route|Cove|Strand|Square|Close|Yard|Circle|Heights|Ridge|Gardens|Orchard)$|\d{{1,2}} (?:{_MONTHS})\b|(?:Artikel|Anhang|Kapitel|Absatz|Seite|Platz|Zimmer|Abschnitt|Feld|Tor|Ring|Park|Regel|Am) \d+$"
)


def _by_code(text: str) -> list[tuple[int, int]]:
    """Return what ends with a British post code, from the first part in capital letters or with a number."""
    found: list[tuple[int, int]] = []
    for match in _CODE.finditer(text):
        earliest = max(0, match.start() - _LONGEST)
        line = max(text.rfind(mark, earliest, match.start()) for mark in ("\n", ": ", "; ", ". "))
        start = _first_part(text, max(line + 1, earliest), match.start())
        if start is not None:
            found.append((start, match.end()))
    return found


# Characters of an address before its post code.
_LONGEST = 160
_CODE = re.compile(rf"(?<=[\w,] ){_UK_CODE}")
_PART = re.compile(rf"(?:(?:{_NUMBER}|{_CAPITAL}|&|c/o|of|the|on|upon|in|under|by|de|le|la)(?:\s|$))+$")


def _first_part(text: str, earliest: int, end: int) -> int | None:
    """Return where an address begins that ends there: parts between commas, each of numbers and words with capitals."""
    stop, start, numbered = end, None, False
    while stop > earliest:
        comma = text.rfind(",", earliest, stop)
        begin = comma + 1 if comma >= 0 else earliest
        part = text[begin:stop].strip()
        match = _PART.search(part) if part else None
        if not match or (numbered and not _BEFORE_NUMBER.match(part)):
            break
        place = begin + text[begin:stop].index(part)
        number = _FROM_NUMBER.search(part, match.start())
        start = place + (number.start() if number else match.start())
        numbered = numbered or number is not None
        if match.start() or comma < 0 or (number and number.start()):
            break
        stop = comma
    return start if start is not None and (numbered or text.count(",", start, end) > 1) else None


_FROM_NUMBER = re.compile(rf"(?<!\S){_NUMBER}(?= )")
_BEFORE_NUMBER = re.compile(rf"(?:{_UNIT}|{_HOUSE}|c/o\b.*|.*(?:House|Estate|Ltd|Court|Mill|Works))$")


def _eastern(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    japanese = re.search("[\u3041-\u3096]", text)
    for match in (_JAPANESE if japanese else _CHINESE).finditer(text):
        lead = None if japanese else _CHINESE_LEAD.match(match[0])
        start = match.start() + (lead.end() if lead else 0)
        if japanese:
            start += len(re.match(r"(?:.*[はがをにのへ、](?=.{0,6}[都道府県市区郡]))?", match[0])[0])  # type: ignore[index]
        if match.end() - start >= 6:
            found.append((start, match.end()))
    return found


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans without overlaps, those that overlap as one."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(kept[-1][1], end))
        else:
            kept.append((start, end))
    return kept
