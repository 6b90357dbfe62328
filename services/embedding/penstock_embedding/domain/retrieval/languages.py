"""What is known of languages: which stemmer, which words say nothing, and how a text's language is guessed."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

SNOWBALL: Final = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali",
    "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""By language, the name of its stemmer."""

COMPOUNDING: Final = frozenset({"da", "de", "et", "fi", "hu", "nb", "nl", "nn", "no", "sv"})
"""Languages that write compounds as one word."""

# Words of grammar, folded. Words that deny are left in: whole questions turn on them.
_STOP_WORDS = {
    "en": "a an and any are as at be been being but by can could did do does doing for from had has have having he her "
    "here hers him his how i if in into is it its just may me might more most must my of on or our ours shall she should "
    "so some such than that the their theirs them then there these they this those to too under us very was we were what "
    "when where which while who whom whose why will with would you your yours s t ll ve re d m",
    "de": "aber als am an auch auf aus bei beim bin bis bist da das dass dem den denn der des dessen die dies diese "
    "diesem diesen dieser dieses doch du durch ein eine einem einen einer eines er es fur hat hatte ich ihm ihn ihnen ihr "
    "ihre ihrem ihren ihrer im in innerhalb ist ja kann konnen man mein mit mich mir nach noch nur ob oder sein seine sich "
    "sie sind so soll sowie um und uns unser von vom vor war waren was welche welchem welchen welcher welches wenn wer "
    "werden wie wieviel wieviele viel viele wir wird wo wofur worden wurde wurden zu zum zur uber unter",
    "fr": "a ai au aux avec c ce ceci cela ces cet cette ceux chez comment d dans de depuis des dont du elle elles en "
    "entre es est et etait etre eu fait il ils j je l la le les leur leurs lors lui m ma mais me mes mon n nos notre nous "
    "on ont ou par pas pendant peut pour pourquoi qu quand que quel quelle quelles quels qui quoi s sa se sera ses si son "
    "sont sous sur t ta te tes toi ton tu un une vers vos votre vous y",
    "es": "a al algo como con cual cuales cuando cuanta cuantas cuanto cuantos de del desde donde durante e el ella ellas "
    "ellos en entre era es esa ese eso esta estan este esto estos fue ha hace han hasta hay la las le les lo los mas me mi "
    "mis mucho muy o os otra otro para pero por porque puede que quien quienes se segun ser si sido sin sobre son su sus "
    "tambien te tiene tu tus un una uno unos y ya yo",
    "it": "a ad ai al alla alle allo anche c che chi ci come con cosa cui da dagli dai dal dalla dei del della delle dello "
    "di dove e ed era gli ha hanno i il in io l la le lei lo loro lui ma mi mia mio ne nei nel nella nelle o per perche "
    "piu puo quale quali quando quanta quante quanti quanto quella quelle quello questa questi questo sara se si sia sono "
    "sua sul sulla suo tra tu un una uno vi voi",
    "pt": "a ao aos as ate com como da das de do dos e ela elas ele eles em entre era essa esse esta este eu foi ha isso "
    "isto ja lhe mais mas me mesmo meu minha muito na nas no nos o os ou para pela pelas pelo pelos pode por porque qual "
    "quais quando quanta quantas quanto quantos que quem se ser seu seus sua suas sao tambem te tem ter um uma voce",
    "nl": "aan als bij dan dat de der deze die dit doch door dus een en er had hebben heb heeft hem het hier hij hoe hun "
    "ik in is ja je kan kunnen maar me men met mij mijn na naar nog of om omdat onder ons ook op over te tegen toch toen "
    "tot u uit uw van veel voor waar wanneer want waren was wat welk welke werd wie wij worden wordt zal ze zelf zich zij "
    "zijn zo zou",
    "sv": "alla att av blev bli blir de dem den denna det detta dig din du da eller en er ett fran for ha hade han har hon "
    "hur i ja jag kan man med men mig min mot nar och om oss pa sa sig sin som till under upp ut vad var vara vi vid vilka "
    "vilken vilket ar over",
    "da": "af at blev blive den denne der det dette dig din du efter eller en er et for fra ham han har havde hende her "
    "hun hvad hvem hvilken hvis hvor hvordan i jeg kan man med men mig min mod naar nu og om os paa pa sig sin skal som "
    "til ud under var ved vi vil være over",
    "no": "av at ble bli den denne der det dette deg din du eller en er et for fra ham han har hadde henne her hun hva "
    "hvem hvilken hvis hvor hvordan i jeg kan man med men meg min mot naar na og om oss pa seg sin skal som til ut under "
    "var ved vi vil over",
    "fi": "ei etta han hanen he ja joka jos kanssa kuin kun kuka me mika mina minka missa mita mutta myos ne niin noin nyt "
    "oli olla olen on ovat se sen siina sina tai tama te tuo tassa",
    "ru": "а без более бы был была были было быть в вам вас во вот все всего вы где да для до его ее если есть еще же за "
    "и из или им их к как какая какие какой когда кто ли между мне может мы на над надо нам нас но о об он она они оно от "
    "по под при про с сколько со так также такой там то того тоже только том ты у уже чего чем что чтобы эта эти это этот "
    "я",
    "ar": "الى التي الذي ان او اي أن إلى على عن في قد كان كانت كم كيف لا لم ما متى من مع هذا هذه هل هو هي و",
    "tr": "bir bu da daha de en gibi hangi icin ile kac kim mi mu ne nasil nedir o olan olarak ve veya ya",
    "pl": "a ale aby czy co do dla gdy gdzie go i ile ich im ja jak jaka jakie jaki jako jest jej jego juz kiedy kto ktora "
    "ktore ktory lub ma mi na nad o od oraz po pod przez przy sa sie ta tak te tego tej ten to tu ty tym w we z za ze",
}
STOP_WORDS: Final = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}
for _alias in ("nb", "nn"):
    STOP_WORDS[_alias] = STOP_WORDS["no"]

_SCRIPTS: Final = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u9fff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
)
_FOLDED_SCRIPTS = re.compile(r"[\u0041-\u024f\u0370-\u03ff\u0590-\u06ff\u1e00-\u1fff]")
_ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "ـ": None})
_HEAD_CHARACTERS = 4000
_LETTERS = re.compile(r"[^\W\d_]+")
# Letters that are at home in few languages outweigh a word of grammar.
_LETTER_CUES: Final = {
    "de": "äöüß", "fr": "èêàçœùîôë", "es": "ñ¿¡áíóú", "pt": "ãõç", "sv": "åäö", "da": "æøå", "no": "æøå", "fi": "äö",
    "tr": "ğışç", "pl": "łąęśżźćń", "it": "èòàù",
}  # fmt: skip


def fold(word: str) -> str:
    """Return a word without case and, in scripts where they are no letters of their own, without marks."""
    folded = word.casefold()
    if folded.isascii():
        return folded
    folded = folded.translate(_ARABIC)
    if not _FOLDED_SCRIPTS.search(folded):
        return folded
    decomposed = unicodedata.normalize("NFD", folded)
    return unicodedata.normalize("NFC", "".join(one for one in decomposed if not unicodedata.combining(one)))


def primary(language: str) -> str:
    """Return the language of a BCP 47 tag without region and script."""
    return language.replace("_", "-").split("-", 1)[0].casefold()


def language_of(text: str) -> str:
    """Return a text's likely language, by its script, its words of grammar and its letters; English where nothing tells."""
    head = text[:_HEAD_CHARACTERS]
    if head.isascii() and not head.strip():
        return "en"
    if not head.isascii() and (script := _by_script(head)):
        return script
    return _by_words(head)


def _by_script(text: str) -> str:
    letters = sum(character.isalpha() for character in text) or 1
    for language, script in _SCRIPTS:
        found = len(script.findall(text))
        # Han and kana say in one character what other scripts say in several.
        if found * (3 if language in {"ja", "zh"} else 1) > letters / 2:
            return language
    return ""


def _by_words(text: str) -> str:
    words = [fold(word) for word in _LETTERS.findall(text)]
    best, most = "en", sum(word in STOP_WORDS["en"] for word in words) + 0.5
    lowered = text.casefold()
    for language, stops in STOP_WORDS.items():
        if language == "en":
            continue
        score = sum(word in stops for word in words)
        if score:
            score += 0.5 * sum(lowered.count(letter) for letter in _LETTER_CUES.get(language, ""))
        if score > most:
            best, most = language, score
    return best
