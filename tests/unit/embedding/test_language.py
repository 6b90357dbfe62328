"""A text's language is told by its script and its small words."""

import pytest

from penstock_embedding.domain.documents.language import language_of

TEXTS = {
    "en": "The licensee may make as many copies as it needs for backup and for a test system. It may not rent the software out.",
    "de": "Die Lizenznehmerin darf so viele Kopien anfertigen, wie sie für die Sicherung und für ein Testsystem braucht.",
    "fr": "Le salarié peut récupérer les heures supplémentaires dans les deux mois, et ne peut pas les vendre à un collègue.",
    "es": "El empleado puede recuperar las horas extraordinarias en los dos meses siguientes, pero no las puede vender a otro.",
    "it": "Il dipendente può recuperare le ore di straordinario entro due mesi, ma non le può vendere a un collega della ditta.",
    "pt": "O empregado pode recuperar as horas extraordinárias em dois meses, mas não as pode vender a um colega da empresa.",
    "nl": "De werknemer kan de overuren binnen twee maanden opnemen, maar hij kan ze niet verkopen aan een collega van het bedrijf.",
    "sv": "Den anställde kan ta ut övertid inom två månader, men det är inte tillåtet att sälja den till en kollega i firman.",
    "da": "Den ansatte kan tage overtid inden for to måneder, men det er ikke tilladt at sælge den til en kollega af virksomheden.",
    "no": "Den ansatte kan ta ut overtid innen to måneder, men det er ikke lov å selge den til en kollega etter at fristen skal være ute.",
    "fi": "Työntekijä voi pitää ylityöt vapaana kahden kuukauden kuluessa, mutta hän ei voi myydä niitä ja se on myös kielletty.",
    "hu": "A munkavállaló a túlórát két hónapon belül kiveheti, de nem adhatja el, és ez a szabály az egész cégre is érvényes.",
    "ro": "Angajatul poate recupera orele suplimentare în două luni, dar nu le poate vinde unui coleg și acest lucru este interzis.",
    "tr": "Çalışan fazla mesaisini iki ay içinde kullanabilir, ama bunu bir arkadaşına satamaz ve bu kural herkes için geçerlidir.",
    "pl": "Pracownik może odebrać nadgodziny w ciągu dwóch miesięcy, ale nie może ich sprzedać, a to jest zasada dla wszystkich.",
    "cs": "Zaměstnanec si může přesčasy vybrat do dvou měsíců, ale nesmí je prodat, a to je pravidlo, které platí pro všechny.",
    "ru": "Сотрудник может взять отгул в течение двух месяцев, но он не может его продать, и это правило для всех, кто работает.",
    "uk": "Працівник може взяти відгул протягом двох місяців, але він не може його продати, і це правило для всіх, хто працює та є.",
    "ar": "يجوز للموظف أخذ ساعات العمل الإضافية خلال شهرين",
    "he": "העובד רשאי לקחת שעות נוספות תוך חודשיים",
    "el": "Ο εργαζόμενος μπορεί να πάρει υπερωρίες μέσα σε δύο μήνες",
    "hi": "कर्मचारी दो महीने के भीतर समय ले सकता है",
    "th": "พนักงานสามารถใช้เวลาภายในสองเดือน",
    "ja": "残業は二か月以内に取得できますが、同僚に売ることはできません。",
    "ko": "직원은 두 달 안에 초과 근무 시간을 사용할 수 있습니다.",
    "zh": "员工可以在两个月内调休，但不得将其出售给同事。",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_language_is_told(language):
    assert language_of(TEXTS[language]) == language


@pytest.mark.parametrize(
    "text", ["", "422", "leitweg_missing", "Aska XL 499 EUR", "SELECT a FROM b", "Lorem ipsum dolor sit amet"]
)
def test_what_has_none_is_left_open(text):
    assert language_of(text) == ""


def test_a_foreign_name_changes_nothing():
    assert language_of(TEXTS["en"] + " Contact: 田中さん, Zürich.") == "en"


def test_so_does_a_long_text_s_beginning_alone():
    assert language_of("THE TITLE OF IT\n" + TEXTS["de"] * 1000) == "de"
