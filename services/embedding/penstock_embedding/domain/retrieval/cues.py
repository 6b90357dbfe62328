"""Words by which people tell versions apart, and words that deny, in several languages; folded."""

from __future__ import annotations

from typing import Final

DENIALS: Final = frozenset(
    "no not never none nothing neither nor without cannot can't don't doesn't didn't isn't aren't wasn't weren't won't "
    "shouldn't mustn't except unless exclude excluded excludes forbidden prohibited impossible refused rejected denied "
    "unable "
    "nicht kein keine keinen keinem keiner keines nie niemals ohne weder verboten ausser "
    "ne pas jamais aucun aucune sans ni interdit sauf "
    "no nunca ningun ninguna ninguno sin ni prohibido salvo "
    "non mai nessun nessuno nessuna senza vietato nao nunca nenhum nenhuma sem geen niet nooit zonder "
    "не нет без никогда нельзя".split()
)

OUTDATED: Final = frozenset(
    "withdrawn replaced superseded obsolete outdated expired former formerly previous previously predecessor older old "
    "archived archive deprecated retired removed discontinued legacy until before historic historical past invalid "
    "cancelled revoked lapsed ended repealed "
    "veraltet ersetzt aufgehoben abgelaufen fruher fruhere ehemals ehemalige bisherige alte alter archiviert bis vor "
    "ancien ancienne anciens anciennes remplace remplacee abroge expire perime avant jusqu archive "
    "antiguo antigua anterior reemplazado sustituido derogado caducado vencido archivado hasta antes "
    "vecchio vecchia precedente sostituito scaduto abrogato antigo antiga substituido revogado oud oude vervangen vervallen "
    "старый прежний отменен заменен".split()
)

CURRENT: Final = frozenset(
    "current currently now today present latest newest new valid force effective active nowadays this "
    "aktuell aktuelle aktuellen aktueller derzeit derzeitig heute jetzt geltend geltende geltenden gultig gultige neu neue "
    "neueste neuesten kraft "
    "actuel actuelle actuels actuellement aujourd maintenant vigueur valable nouveau nouvelle dernier derniere "
    "actual actuales actualmente hoy ahora vigente vigentes vigor nuevo nueva ultimo ultima "
    "attuale attualmente oggi adesso vigente nuovo nuova atual atualmente hoje agora novo nova huidig huidige nu vandaag "
    "since depuis desde seit dal текущий сейчас действующий новый".split()
)

WITHDRAWN: Final = frozenset(
    "withdrawn replaced superseded obsolete outdated expired archived deprecated repealed lapsed ersetzt aufgehoben "
    "abgelaufen veraltet remplace abroge expire perime reemplazado sustituido derogado caducado sostituito abrogato scaduto "
    "substituido revogado vervangen vervallen отменен заменен".split()
)
"""Those of them that a text says of itself at its beginning."""
