"""Words of six languages that say how much, when, not, and in which form: what the rules know of language.

Written for this guard from general knowledge; nothing in here comes from a data set.
"""

from __future__ import annotations

CONTRACTIONS = {
    "won't": "will not", "can't": "can not", "cannot": "can not", "shan't": "shall not", "ain't": "is not",
    "dont": "do not", "doesnt": "does not", "didnt": "did not", "isnt": "is not", "arent": "are not", "wasnt": "was not",
    "cant": "can not", "wont": "will not", "shouldnt": "should not", "couldnt": "could not", "wouldnt": "would not",
    "havent": "have not", "hasnt": "has not", "let's": "let us", "i'm": "i am", "im": "i am", "ive": "i have",
    "whats": "what is", "hows": "how is", "wheres": "where is", "whos": "who is", "thats": "that is", "whens": "when is",
    "u": "you", "r": "are", "ur": "your", "thru": "through", "w/o": "without", "w/": "with", "b/w": "between", "&": "and",
    "vs": "versus", "vs.": "versus", "tho": "though", "cuz": "because", "bc": "because", "abt": "about", "diff": "difference",
    "approx": "about", "approximately": "about", "roughly": "about", "around": "about", "info": "information",
    "max": "maximum", "min.": "minimum", "docs": "documents", "doc": "document", "pic": "picture", "photo": "picture",
    "everyday": "every day", "e-mail": "email", "wifi": "wi-fi", "usa": "us", "u.s.": "us", "america": "us", "american": "us", "u.k.": "uk",
    "britain": "uk", "british": "uk", "colour": "color", "colours": "colors", "organise": "organize", "metre": "meter",
    "metres": "meters", "litre": "liter", "litres": "liters", "centre": "center", "flavour": "flavor", "grey": "gray",
    "favourite": "favorite", "summarise": "summarize", "analyse": "analyze", "licence": "license", "programme": "program",
}  # fmt: skip
SUFFIXES = (
    ("n't", "not"), ("'re", "are"), ("'ve", "have"), ("'ll", "will"), ("'m", "am"), ("'d", "would"), ("'s", ""),
)  # fmt: skip

POLITENESS = frozenset(
    "please pls plz thanks thank thx ty hi hello hey dear regards kind cheers sorry kindly morning evening afternoon good"
    " greetings bitte danke hallo guten tag merci bonjour salut gracias hola buenos prego grazie ciao obrigado obrigada"
    " olá ola favor svp tia btw well ok okay just quick question".split()
)
FUNCTION_WORDS = frozenset(
    "a an the is are was were be been being am do does did have has had will would shall should can could may might must"
    " i me my mine you your yours he him his she her it its we us our they them their this that these those there here"
    " of in on at by for from to into onto with as and or but so if then than what which who whom whose when where why how"
    " about out up off over under again further also too very really actually simply exactly tell give show explain"
    " know need want like get go make one ones some any s t e g etc us's much many would let somebody someone something"
    " der die das ein eine einen einem einer den dem des und oder ist sind war ich mir mich du dir man wie was wer wo wann"
    " warum welche welcher welches zu zum zur im am an auf in aus mit für von vom bei es er sie wir ihr kann können muss soll"
    " le la les un une des du de d l et ou est sont je tu il elle on nous vous ils que qui quoi quel quelle quels quelles"
    " comment pourquoi quand où à au aux en dans sur pour par avec se ce cette mon ma mes puis peut-on est-ce faut-il"
    " el los las una unos unas y o es son yo tú él ella nosotros cómo como qué cuál cuándo dónde por para con del al mi"
    " lo gli i uno e è sono io che chi quale come quando dove perché per con di da del della nel al alla si mio"
    " os as um uma e é são eu você que qual quando onde porque por para com do da no na meu minha".split()
)

# Numbers in words; "one" and its likes are articles and pronouns more often.
NUMBER_WORDS: dict[str, float] = {
    "zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90, "dozen": 12, "twice": 2, "double": 2, "triple": 3, "thrice": 3, "couple": 2, "pair": 2,
    "half": 0.5, "quarter": 0.25, "third": 3, "second": 2, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "1st": 1, "first": 1,
    "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9, "zehn": 10, "elf": 11,
    "zwölf": 12, "zwanzig": 20, "dreißig": 30, "vierzig": 40, "fünfzig": 50, "hundert": 100, "tausend": 1000,
    "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "sept": 7, "huit": 8, "neuf": 9, "dix": 10, "onze": 11, "douze": 12,
    "quinze": 15, "vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50, "cent": 100, "mille": 1000,
    "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10, "once": 11,
    "doce": 12, "veinte": 20, "treinta": 30, "cuarenta": 40, "cincuenta": 50, "cien": 100, "mil": 1000,
    "due": 2, "tre": 3, "quattro": 4, "cinque": 5, "sei": 6, "sette": 7, "otto": 8, "nove": 9, "dieci": 10, "dodici": 12,
    "venti": 20, "trenta": 30, "quaranta": 40, "cinquanta": 50, "cento": 100,
    "dois": 2, "duas": 2, "três": 3, "quatro": 4, "sete": 7, "oito": 8, "dez": 10, "doze": 12, "vinte": 20, "trinta": 30,
    "quarenta": 40, "cinquenta": 50,
}  # fmt: skip
SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "mille": 1e3, "k": 1e3, "bn": 1e9}
# These say their number only in one language, and something else in another one that is asked in more often.
AMBIGUOUS_NUMBERS = frozenset({"due", "once", "sei", "cent", "quarter", "pair", "couple", "mil"})

# name: (dimension, size in the dimension's base)
UNITS: dict[str, tuple[str, float]] = {
    "mm": ("length", 1e-3), "millimeter": ("length", 1e-3), "cm": ("length", 1e-2), "centimeter": ("length", 1e-2),
    "m": ("length", 1.0), "meter": ("length", 1.0), "km": ("length", 1e3), "kilometer": ("length", 1e3), "inch": ("length", 0.0254),
    "in": ("length", 0.0254), "inches": ("length", 0.0254), "ft": ("length", 0.3048), "foot": ("length", 0.3048), "feet": ("length", 0.3048),
    "yard": ("length", 0.9144), "mile": ("length", 1609.344), "mi": ("length", 1609.344),
    "mg": ("mass", 1e-3), "g": ("mass", 1.0), "gram": ("mass", 1.0), "kg": ("mass", 1e3), "kilo": ("mass", 1e3),
    "kilogram": ("mass", 1e3), "tonne": ("mass", 1e6), "ounce": ("mass", 28.3495), "oz": ("mass", 28.3495),
    "pound": ("mass", 453.592), "lb": ("mass", 453.592), "lbs": ("mass", 453.592),
    "ml": ("volume", 1e-3), "cl": ("volume", 1e-2), "dl": ("volume", 0.1), "l": ("volume", 1.0), "liter": ("volume", 1.0),
    "gallon": ("volume", 3.78541), "pint": ("volume", 0.473176), "cup": ("volume", 0.24), "tablespoon": ("volume", 0.015),
    "tbsp": ("volume", 0.015), "teaspoon": ("volume", 0.005), "tsp": ("volume", 0.005),
    "ms": ("time", 1e-3), "millisecond": ("time", 1e-3), "sec": ("time", 1.0), "seconds": ("time", 1.0), "minute": ("time", 60.0),
    "min": ("time", 60.0), "mins": ("time", 60.0), "hour": ("time", 3600.0), "h": ("time", 3600.0), "hr": ("time", 3600.0), "hrs": ("time", 3600.0), "day": ("time", 86400.0),
    "week": ("time", 604800.0), "fortnight": ("time", 1209600.0), "month": ("months", 1.0), "year": ("months", 12.0),
    "yr": ("months", 12.0), "decade": ("months", 120.0), "century": ("months", 1200.0),
    "celsius": ("celsius", 1.0), "°c": ("celsius", 1.0), "fahrenheit": ("fahrenheit", 1.0), "°f": ("fahrenheit", 1.0),
    "b": ("bytes", 1.0), "byte": ("bytes", 1.0), "kb": ("bytes", 1e3), "mb": ("bytes", 1e6), "gb": ("bytes", 1e9), "tb": ("bytes", 1e12),
    "megabyte": ("bytes", 1e6), "gigabyte": ("bytes", 1e9), "terabyte": ("bytes", 1e12),
    "$": ("usd", 1.0), "dollar": ("usd", 1.0), "buck": ("usd", 1.0), "usd": ("usd", 1.0), "€": ("eur", 1.0), "euro": ("eur", 1.0), "eur": ("eur", 1.0),
    "£": ("gbp", 1.0), "gbp": ("gbp", 1.0), "¥": ("jpy", 1.0), "yen": ("jpy", 1.0), "%": ("percent", 1.0), "percent": ("percent", 1.0),
    "watt": ("power", 1.0), "w": ("power", 1.0), "kw": ("power", 1e3), "kilowatt": ("power", 1e3), "kwh": ("energy", 1e3), "wh": ("energy", 1.0),
    "tag": ("time", 86400.0), "tage": ("time", 86400.0), "tagen": ("time", 86400.0), "stunde": ("time", 3600.0), "stunden": ("time", 3600.0),
    "minuten": ("time", 60.0), "woche": ("time", 604800.0), "wochen": ("time", 604800.0), "monat": ("months", 1.0), "monate": ("months", 1.0), "jahr": ("months", 12.0), "jahre": ("months", 12.0),
    "jour": ("time", 86400.0), "heure": ("time", 3600.0), "semaine": ("time", 604800.0), "mois": ("months", 1.0), "an": ("months", 12.0), "ans": ("months", 12.0),
    "día": ("time", 86400.0), "dia": ("time", 86400.0), "hora": ("time", 3600.0), "semana": ("time", 604800.0), "año": ("months", 12.0), "ano": ("months", 12.0), "giorno": ("time", 86400.0),
    "giorni": ("time", 86400.0), "ore": ("time", 3600.0), "ora": ("time", 3600.0), "settimana": ("time", 604800.0), "settimane": ("time", 604800.0), "mese": ("months", 1.0), "mesi": ("months", 1.0), "anno": ("months", 12.0), "anni": ("months", 12.0), "mes": ("months", 1.0),
}  # fmt: skip

MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "january jan januar janvier enero gennaio janeiro",
            "february feb februar février febrero febbraio fevereiro",
            "march märz mars marzo março",
            "april apr avril abril aprile",
            "mai mayo maggio maio",
            "june jun juni juin junio giugno junho",
            "july jul juli juillet julio luglio julho",
            "august aug août agosto",
            "september sept sep septembre septiembre settembre setembro",
            "october oct oktober octobre octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember décembre diciembre dicembre dezembro",
        ),
        1,
    )
    for word in words.split()
}
WEEKDAYS = {
    word: number
    for number, words in enumerate(
        (
            "monday montag lundi lunes lunedì segunda-feira",
            "tuesday dienstag mardi martes martedì terça-feira",
            "wednesday mittwoch mercredi miércoles mercoledì quarta-feira",
            "thursday donnerstag jeudi jueves giovedì quinta-feira",
            "friday freitag vendredi viernes venerdì sexta-feira",
            "saturday samstag samedi sábado sabato",
            "sunday sonntag dimanche domingo domenica",
        ),
        1,
    )
    for word in words.split()
}
RELATIVE_TIMES = {
    word: meaning
    for meaning, words in {
        "today": "today tonight heute aujourd'hui hoy oggi hoje",
        "tomorrow": "tomorrow morgen demain mañana domani amanhã",
        "yesterday": "yesterday gestern hier ayer ieri ontem",
        "now": "now currently current jetzt aktuell maintenant ahora adesso agora nowadays",
        "past": "previous previously former ago letzte letzten letztes letzter vergangene dernier dernière pasado pasada scorso scorsa passado passada",
        "future": "upcoming nächste nächsten nächstes nächster prochain prochaine próximo próxima prossimo prossima",
        "weekend": "weekend wochenende",
        "season-1": "spring frühling printemps primavera",
        "season-2": "summer sommer été verano estate verão",
        "season-3": "autumn herbst automne otoño autunno outono",
        "season-4": "winter hiver invierno inverno",
    }.items()
    for word in words.split()
}

# A pointer and a period after it make a time: next week.
POINTERS = {"last": "past", "past": "past", "this": "present", "next": "future", "coming": "future"}
PERIODS = (
    frozenset(
        "second minute hour day night morning afternoon evening week weekend month quarter year season semester term decade"
        " century spring summer autumn fall winter time".split()
    )
    | frozenset(WEEKDAYS)
    | frozenset(MONTHS)
)
TENSES = {
    word: tense
    for tense, words in {
        "past": "was were did had war waren était étaient fue fueron era erano foi foram",
        "present": "is are do does has have am ist sind est sont es son è sono é são",
        "future": "will wird werden sera seront será serán sarà saranno serão",
    }.items()
    for word in words.split()
}

NEGATIONS = frozenset(
    "not no never without none neither nor nobody nothing except excluding nicht kein keine keinen keiner keinem ohne nie niemals"
    " pas sans jamais aucun aucune non senza mai nessun nessuna não nao sem nunca nenhum nenhuma sin ningún ninguna nunca".split()
)
AVOIDANCES = frozenset("avoid prevent vermeiden éviter evitar evitare".split())

OPPOSITES = tuple(
    tuple(pair.split("/"))
    for pair in (
        "enable/disable allow/block allow/forbid allow/deny permit/prohibit include/exclude import/export upload/download"
        " upgrade/downgrade install/uninstall encrypt/decrypt encode/decode compress/decompress lock/unlock mute/unmute"
        " subscribe/unsubscribe follow/unfollow connect/disconnect attach/detach mount/unmount add/remove add/delete"
        " create/delete insert/delete open/close open/shut start/stop start/end begin/end begin/finish buy/sell lend/borrow"
        " send/receive give/take push/pull accept/reject accept/decline approve/reject approve/decline increase/decrease"
        " increase/reduce raise/lower rise/fall grow/shrink gain/lose win/lose pass/fail hire/fire arrive/depart arrive/leave"
        " check-in/check-out login/logout sign-in/sign-out hide/show expand/collapse merge/split join/leave minimum/maximum"
        " minimize/maximize more/less more/fewer most/least most/fewest much/little many/few high/low higher/lower highest/lowest"
        " big/small bigger/smaller biggest/smallest large/small larger/smaller largest/smallest long/short longer/shorter"
        " longest/shortest tall/short taller/shorter tallest/shortest old/new older/newer oldest/newest old/young older/younger"
        " oldest/youngest fast/slow faster/slower fastest/slowest hot/cold hotter/colder hottest/coldest warm/cool heat/cool"
        " cheap/expensive cheaper/dearer cheapest/dearest good/bad better/worse best/worst strong/weak stronger/weaker"
        " strongest/weakest heavy/light heavier/lighter heaviest/lightest deep/shallow deepest/shallowest wide/narrow"
        " thick/thin hard/easy hard/soft early/late earlier/later earliest/latest before/after first/last above/below"
        " over/under inside/outside indoor/outdoor indoors/outdoors up/down left/right top/bottom front/back north/south"
        " east/west northern/southern eastern/western with/without on/off in/out advantage/disadvantage advantages/disadvantages"
        " pros/cons benefits/drawbacks benefits/risks strengths/weaknesses positive/negative safe/dangerous legal/illegal"
        " valid/invalid odd/even public/private internal/external input/output read/write client/server buyer/seller"
        " employer/employee landlord/tenant lender/borrower parent/child teacher/student sender/recipient sender/receiver"
        " male/female man/woman men/women boy/girl boys/girls mother/father husband/wife king/queen adult/child adults/children"
        " day/night morning/evening ascending/descending horizontal/vertical row/column rows/columns alive/dead birth/death"
        " born/die wet/dry full/empty rich/poor war/peace love/hate true/false yes/no credit/debit profit/loss income/expense"
        " asset/liability assets/liabilities supply/demand gross/net fixed/variable single/married single/return single/double"
        " ein/aus an/aus mit/ohne vor/nach größte/kleinste höchste/niedrigste beste/schlechteste kaufen/verkaufen öffnen/schließen"
        " aktivieren/deaktivieren avec/sans avant/après plus/moins meilleur/pire ouvrir/fermer acheter/vendre activer/désactiver"
        " con/sin antes/después más/menos mejor/peor abrir/cerrar comprar/vender activar/desactivar con/senza prima/dopo più/meno"
        " migliore/peggiore aprire/chiudere comprare/vendere attivare/disattivare com/sem antes/depois mais/menos melhor/pior"
        " abrir/fechar ativar/desativar"
    ).split()
)
NEGATIVE_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "non-", "de", "mis")

QUANTIFIERS = {
    word: meaning
    for meaning, words in {
        "all": "all every each entire whole everything everyone entirely alle jeder jede jedes alles sämtliche tous toutes tout chaque todos todas todo cada tutti tutte tutto ogni",
        "some": "several einige mehrere quelques plusieurs algunos varias alcuni alcune alguns algumas",
        "one": "single specific just-one einzelne einzelnen seul único singolo",
        "only": "only solely merely nur seulement uniquement solo solamente soltanto apenas somente",
        "always": "always immer toujours siempre sempre",
        "sometimes": "sometimes occasionally manchmal parfois veces",
        "never": "never nie jamais nunca mai",
        "both": "both beide ambos entrambi",
        "most": "majority meisten mayoría maggioranza maioria",
    }.items()
    for word in words.split()
}
FORMATS = {
    word: meaning
    for meaning, words in {
        "table": "table spreadsheet tabelle tableau tabla tabella tabela",
        "json": "json", "yaml": "yaml", "xml": "xml", "csv": "csv", "markdown": "markdown", "html": "html", "latex": "latex",
        "bullets": "bullet bullets bulleted stichpunkte stichpunkten puces viñetas",
        "list": "list",
        "sentence": "sentence sentences satz sätzen phrase frase",
        "paragraph": "paragraph paragraphs absatz paragraphe párrafo paragrafo parágrafo",
        "words": "words wörter wörtern worten mots palabras parole palavras",
        "poem": "poem haiku limerick rhyme sonnet verse gedicht poème poema poesia",
        "tweet": "tweet", "email": "email", "letter": "letter", "essay": "essay", "story": "story", "song": "song rap",
        "diagram": "diagram flowchart chart sketch", "steps": "step-by-step steps", "code": "code snippet", "dialogue": "dialogue",
        "summary": "tldr", "regex": "regex", "sql": "sql", "brief": "briefly brief short concise kurz brièvement brevemente",
        "detail": "detailed detail depth thorough ausführlich détaillé detallado dettagliato detalhado",
    }.items()
    for word in words.split()
}  # fmt: skip
LANGUAGES = {
    word: meaning
    for meaning, words in {
        "en": "english englisch anglais inglés inglese inglês", "de": "german deutsch allemand alemán tedesco alemão",
        "fr": "french französisch français francés francese francês", "es": "spanish spanisch espagnol español spagnolo espanhol",
        "it": "italian italienisch italien italiano", "pt": "portuguese portugiesisch portugais portugués portoghese português",
        "nl": "dutch", "pl": "polish", "ru": "russian", "zh": "chinese mandarin", "ja": "japanese", "ko": "korean", "ar": "arabic",
        "tr": "turkish", "sv": "swedish", "da": "danish", "no": "norwegian", "fi": "finnish", "el": "greek", "he": "hebrew",
        "hi": "hindi", "cs": "czech", "hu": "hungarian", "uk": "ukrainian", "la": "latin",
    }.items()
    for word in words.split()
}  # fmt: skip
AUDIENCES = {
    word: meaning
    for meaning, words in {
        "child": "child children kid kids toddler year-old kinder kindern kind enfant enfants niño niños bambini bambino crianças eli5 pupil pupils",
        "beginner": "beginner beginners layman laymen layperson novice dummies newbie anfänger débutant débutants principiantes principianti iniciantes",
        "expert": "expert experts professional professionals experten experte expertos esperti specialist specialists",
        "senior": "senior seniors elderly grandmother grandma grandfather grandpa pensioner",
        "student": "student students undergraduate undergraduates",
    }.items()
    for word in words.split()
}  # fmt: skip
SOURCE_PREPOSITIONS = frozenset("from von aus desde dal dalla da du de".split())
TARGET_PREPOSITIONS = frozenset("to into onto nach à vers hacia a al alla para".split())
COMMUTATIVE = frozenset("and or versus between und oder et ou y o e".split()) | {","}
QUESTIONS = {
    word: meaning
    for meaning, words in {
        "why": "why warum weshalb pourquoi perché reason reasons cause causes",
        "who": "who whose wer qui quién chi quem",
        "when": "when wann quand cuándo quando",
        "where": "where wo où dónde dove onde",
        "how": "how wie comment cómo come",
        "which": "which what was welche quel quelle qué cuál che quale qual",
    }.items()
    for word in words.split()
}  # fmt: skip
MEASURES = frozenset(
    "many much long often far old tall big large late early fast heavy deep high hot soon wide strong".split()
)
PREPOSITIONS = frozenset(
    "off on onto into out over under from to with without for by against before after during until since through across"
    " above below between behind inside outside near".split()
)
