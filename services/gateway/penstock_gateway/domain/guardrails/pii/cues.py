"""Words that say what a number is, in the languages of Latin script and in Russian, Japanese, Chinese and Arabic."""

from __future__ import annotations

import re


def _any(*words: str) -> str:
    return "|".join(
        word + "\\b" if word[-1].isalpha() and not word.endswith(("\\b", "\\w")) else word
        for line in words
        for word in line.split(" / ")
    )


# Behind a letter no cue begins; cues of scripts that write words together begin anywhere.
_START = r"(?<![^\W\d_])"

_PHONE = (
    _START
    + "(?:"
    + _any(
        "phones? / phoned / telephones? / tels?\\b / tél / mob\\b / mobiles? / cells?\\b / cellphone / handy / landline / hotline / help ?line",
        "call(?:s|ed|ing|back)?\\b / dial(?:s|ed|ling)?\\b / ring\\b / rang\\b / text(?:ed)? / sms / whats ?app / signal\\b / telegram\\b / facetime / reach(?:able|ed)?\\b",
        "contact / voicemail / pager / fax / ext\\b / switchboard / ice\\b / emergency contact / hung up / answers on / picks up",
        "telefon\\w* / tele[fp]h?on\\w* / ruf\\w* / anruf\\w* / rückruf\\w* / erreich\\w* / mobil\\w* / mobilnummer / festnetz / durchwahl / handynummer / notruf",
        "portable / joignable / appel\\w* / rappel\\w* / téléphon\\w* / numéro de t[ée]l",
        "móvil / movil / ll[aá]m\\w* / teléfono / tfno / telf / celular / fijo\\b / marcar / marque\\b",
        "cellulare / cell\\b / chiam\\w* / telefon\\w* / recapito / fisso\\b",
        "bel\\b / bellen / gebeld / belt\\b / mobiel / gsm\\b / telefoon\\w* / bereikbaar / bereiken",
        "telemóvel / telemovel / ligar / ligue / liga\\b / contacto / contato / whatsapp",
        "dzwoni\\w* / zadzwo\\w* / kom\\. / komórk\\w* / komork\\w* / telef\\w* / infolini\\w*",
        "телефон\\w* / тел\\b / тел\\. / звон\\w* / позвон\\w* / перезвон\\w* / моб\\b / мобильн\\w* / сотов\\w*",
        "ring\\w* / mobilnr / telefonnr / tfn\\b / tel\\.nr / nås på / mobilen / sök mig",
    )
    + ")|電話|携帯|ケータイ|連絡先|℡|电话|電话|手机|致电|联系|拨打|来电|座机|打|呼叫|短信|微信|هاتف|جوال|موبايل|محمول|اتصل|للاتصال|تليفون|تلفون|رقمي"
)

_OTHER = (
    _START
    + "(?:"
    + _any(
        "orders? / invoices? / inv\\b / receipts? / ref\\b / refs?\\. / references? / tickets? / cases?\\b / contracts? / polic(?:y|ies) / claim / articles? / part\\b / parts?\\b / sku\\b / p/n",
        "isbn / issn / ean\\b / gtin / upc / imei\\w* / imsi / iccid / serial / s/n / asset / batch / lot\\b / lots\\b / rma\\b / tracking / parcel / shipment / consignment / waybill / awb / barcode",
        "accounts? / acct / iban / bic\\b / swift / routing / aba\\b / sort code / tax\\b / vat\\b / ein\\b / ust\\w* / uid\\b / duns / licen[cs]e / meter / customers? / members? / membership / employee / staff no / patient / booking / reservation / bk-?",
        "versions? / build / release / firmware / rev\\b / revision / section / chapter / room / page / pages / patent / docket / doi / arxiv / pmid / timestamp / epoch / hash / commit / checksum / id\\b / ids\\b / uuid / port / code is / code\\b / pin\\b / otp\\b / plate",
        "bestell\\w* / auftrag\\w* / rechnung\\w* / vertrag\\w* / vorgang\\w* / aktenzeichen / az\\b / kunden\\w* / beleg\\w* / artikel\\w* / sendung\\w* / konto\\w* / blz / zähler\\w* / mitglied\\w* / steuer\\w* / serien\\w* / charge\\b / flurstück / teilenr / teile\\w* / lieferschein\\w* / inventar\\w* / personal\\w* / versicherungsn\\w* / police\\b / ticketn\\w* / schadens?n\\w*",
        "commande / facture / dossier / contrat / client\\b / colis / suivi / siret / siren / référence / réf / sinistre / lot\\b / série / devis / bon de",
        "pedido / factura / contrato / expediente / cliente / referencia / ref\\b / envío / lote / albarán / serie / nif\\b / cif\\b / póliza",
        "ordine / fattura / pratica / contratto / cliente / spedizione / lotto / matricola / partita iva / p\\.? ?iva / preventivo / polizza",
        "bestelling / bestelnummer / factuur\\w* / zaak / zaaknummer / klantnummer / ordernummer / polis\\w* / pakket / perceel / kvk / btw / artikelnummer / contractnummer / dossiernummer",
        "encomenda / fatura / processo / cliente / contribuinte / nif\\b / lote / apólice / guia / nota fiscal",
        "zamówieni\\w* / faktur\\w* / umow\\w* / zlecen\\w* / nip\\b / regon / pesel / klient\\w* / przesyłk\\w* / sprawa / partia",
        "заказ\\w* / накладн\\w* / договор\\w* / сч[её]т\\w* / инн\\b / кпп\\b / огрн\\w* / артикул\\w* / парти\\w* / заявк\\w* / дел[ао]\\b / снилс",
        "order\\w* / faktura\\w* / ärende\\w* / kundn\\w* / avtal\\w* / artikel\\w* / orgnr / org\\.?nr / försändelse",
    )
    + ")|注文|品番|部品番号|番号札|伝票|契約|管理番号|受付番号|订单|合同|编号|单号|发票|版本|طلب|فاتورة|تذكرة|عقد|مرجع"
)

PHONE = re.compile(_PHONE)
OTHER_NUMBER = re.compile(_OTHER)
CARD = re.compile(
    _START
    + "(?:"
    + _any(
        "cards? / credit / debit / visa / master ?card / amex / american express / maestro / diners / discover / jcb / unionpay / pan\\b",
        "karten?\\w* / kreditkart\\w* / carte / cb\\b / tarjeta / carta / carte / kaart\\w* / creditcard / cartão / kart[aęąy] / kort\\w* / карт\\w*",
        "charged / paid with / pagué / bezahl\\w* / payé",
    )
    + ")|カード|卡号|卡|بطاقة"
)
SSN = re.compile(
    _START
    + r"(?:ssns?\b|ss#|ss no|s\.s\.n|social\b|socials\b|soc\.? ?sec|social[- ]security|tax form|w-?[249]\b|i-?9\b|1099\b|"
    r"taxpayer|tax id|tin\b|itin\b|sozialversicherung\w*|seguro social|sécurité sociale)"
)
PASSPORT = re.compile(
    _START
    + "(?:"
    + _any(
        "passports? / passport's / pass ?no / pass\\b / pass-nr / travel documents? / travel doc / visa letter / muster / crew list / manifest / mrz\\b / border control",
        "reisepass\\w* / passnummer\\w* / pass-nr / passnr / reisedokument\\w* / ausweis\\w* / passeports? / pasaportes? / passaport[oie] / paspoort\\w* / reisdocument / passaportes?",
        "paszport\\w* / паспорт\\w* / загранпаспорт\\w* / pass\\b / passnummer",
    )
    + ")|パスポート|旅券|护照|護照|جواز"
)
BIRTH_BEFORE = re.compile(
    _START
    + "(?:"
    + _any(
        "born / b\\. / d\\.?o\\.?b\\.? / date[- _]?of[- _]?birth / birth ?dates? / birth[- _]?day / b-?day / dateofbirth / birth\\b / birthdays? / year of birth",
        "geb\\.? / geboren\\w* / geburtsdatum / geburtstag\\w* / geburt\\b / gebdat\\w* / geb\\.-?dat\\w*\\.? / jahrgang",
        "née? / né\\(e\\) / née?s / né·e / ne\\(e\\) / naissance / ddn\\b / anniversaire / d\\. ?naiss\\.?",
        "nac\\. / nací / nació / nacid[oa]s? / nacimiento / f\\. ?nac\\.? / fecha de nac\\w* / cumpleaños / naciste",
        "nat[oaie]\\b / nato/a / nascit[ae] / d\\.? ?d\\.? ?n\\b / compleanno / è nat[oa]",
        "geboortedatum / geb\\.dat\\w*\\.? / geboorte\\w* / geboren / verjaardag / jarig",
        "nascid[oa]s? / nascimento / nasceu / nasci\\b / data de nasc\\w*\\.? / dn\\b / aniversário",
        "ur\\. / urodz\\w* / urodzin\\w* / data ur\\w*\\.?",
        "родил\\w* / рожд\\w* / д\\. ?р\\.? / р\\. / рожден\\w* / г\\.р",
        "född\\w* / födelse\\w* / f\\. / födelsedatum / fyller år",
    )
    + ")|生年月日|誕生日|生まれ|生日|出生|生于|出生日期|تاريخ الميلاد|مواليد|ولد|ولدت|المولود|ميلاد|[*✶★]"
)
BIRTH_BEHIND = re.compile(
    r"\s(?:was )?born\b(?! (?:of|from|out|into))|[\s,()年]{0,3}(?:\(?\s?(?:of birth|is when \w+ (?:was|were) born|was (?:born|the day)|is (?:my|his|her|their|the|\w+'s) (?:birth ?day|date of birth|dob)\b|"
    r"\(?dob\b|\(?birth|(?:in |at |auf |zu )?[\w\- ]{0,25}\bgeboren|geb\.|(?:r\.? ?)?ur(?:\.|odz)|г\. ?р|года рожд|рожд|"
    r"födde?s?\b|urodz\w+|[\w ]{0,24}(?:zur welt|ter wereld|a vu le jour|al mundo|alla luce)\b|de naissance|est (?:ma|sa) date de naissance))|"
    r"[\s,(]{0,2}(?:生まれ|生れ|に生まれ|誕生|出生|生$|生[^产効]|日生)"
)
