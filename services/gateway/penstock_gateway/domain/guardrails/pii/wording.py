"""Words around names, by what they say of what stands beside them, in the languages of Latin script and in Russian."""

from __future__ import annotations

from collections.abc import Mapping


def _classes(**words: str) -> Mapping[str, str]:
    return {word: name for name, listed in words.items() for word in listed.split()}


# A word has one class. Keys are in small letters, without a full stop.
CLASSES = _classes(
    title=(
        "mr mrs ms miss mx dr doctor prof professor sir madam lady lord rev reverend captain sergeant officer judge sister father brother nurse dame master capt sgt lt "
        "herr herrn frau fräulein doktor familie fam hr fr monsieur madame mademoiselle m mme mlle me maître señor señora señorita sr sra srta don doña doctora "
        "signor signore signora signorina sig sig.ra dott dottor dottoressa dottssa ing avv avvocato avvocata professoressa meneer mevrouw mevr dhr heer mw drs ds "
        "senhor senhora dona exmo exma pan pani pana panu panią państwo herrn fru doktorn господин госпожа гражданин гражданка г-н г-жа доктор врач профессор товарищ notaria notaio notaire notar notarin dra doutor doutora dom d engenheiro"
    ),
    introduction=(
        "i'm im am name named called heiße heisse heißt bin m'appelle appelle suis soy llamo llama chiamo sono chiama heet ben chamo-me chamo sou nazywam jestem heter зовут this here its it's "
        "nom nombre nome naam imię nazwisko namn имя фамилия я jag ja ich je yo io ik eu"
    ),
    role=(
        "customer client patient tenant landlord holder owner guest borrower guarantor witness applicant claimant employee driver nurse technician manager director author painter contact user member policyholder "
        "recipient beneficiary attn attention registrant signed reporter assigned reviewed beneficiaries sender accused defendant suspect child parent caller agent colleague boss assistant neighbour neighbor teacher "
        "vermieter vermieterin eigentümer eigentümerin käufer käuferin verkäufer trainer trainerin leiter leiterin pfleger hausmeister hausmeisterin bewerber bewerberin schüler schülerin erbe erbin kunde kundin mieter mieterin patientin kontoinhaber kontoinhaberin ansprechpartner ansprechpartnerin versicherungsnehmer versicherungsnehmerin zeuge zeugin empfänger absender teilnehmer teilnehmerin kollege kollegin "
        "chef chefin geschäftsführer geschäftsführerin vertretung nachbar nachbarin mitarbeiter mitarbeiterin cliente clienta titulaire titular titolare destinataire destinatario contacto contatto paziente paciente collègue voisin voisine "
        "inquilino inquilina huurder klant klantin contactpersoon collega buurman buurvrouw klient klientka najemca kontakt kund kollega hyresgäst клиент клиентка пациент пациентка водитель сотрудник директор получатель attendees present guests name "
        "officer clerk plumber dentist editor coach singer writer actor scientist engineer trainee intern candidate student pupil nominee executor heir heirs spouse partner husband"
    ),
    kin=(
        "wife husband son daughter sister brother mother father mum mom dad uncle aunt auntie grandma grandpa grandfather grandmother cousin nephew niece friend girlfriend boyfriend fiancé fiancée twins great-uncle "
        "sohn tochter schwester bruder mutter vater onkel tante oma opa cousine freund freundin ehefrau ehemann mann enkel enkelin fils fille sœur frère mère père oncle tante femme mari ami amie hijo hija hermana hermano madre padre tío tía esposa esposo marido amigo amiga "
        "figlio figlia sorella fratello moglie marito zio zia zoon dochter zus broer moeder vader vrouw vriend vriendin filho filha irmã irmão mãe pai esposa marido syn córka siostra brat żona mąż matka ojciec son dotter syster bror mamma pappa fru make жена муж сын дочь брат сестра мать отец друг подруга"
    ),
    greeting=(
        "dear hello hi hey hiya thanks thx thank ask tell call invite remind let give show send help meet contact text ping pls please morning bye welcome sorry frag frage fragt fragen sag sage sagen ruf richte grüß bitten bitte gib schick liebe lieber liebes hallo hi moin guten danke dites dis demandez demande appelez rappelez prévenez chère cher bonjour salut merci dile dígale pregunta pregúntale avisa llama estimada estimado querida querido hola gracias chiedi chiama dillo avvisa senti cara caro gentile ciao grazie "
        "vraag zeg bel mail waarschuw beste geachte lieve hoi dag cara caro olá pergunte pergunta diga avise prezada prezado szanowny szanowna drogi droga cześć dzień zapytaj powiedz fråga hälsa säg hej bästa käre kära tack здравствуйте уважаемый уважаемая дорогой дорогая привет спасибо спроси спросите передай передайте позови"
    ),
    signing="regards sincerely yours best cheers love truly grüße gruß grüssen grüßen cordialement salutations amitiés bises saludos atentamente saluti groet groeten cumprimentos atenciosamente pozdrawiam poważaniem hälsningar hälsning mvh уважением",
    saying=(
        "says said asked asks wrote writes called calls rang phoned wants wanted lives lived moved works worked signed left joined told thinks knows will has had is was likes sent paid takes took plays sings drives complained reports reported owns manages manage answers denies denied confirms confirmed agrees "
        "sagt sagte fragt fragte schrieb ruft rief kommt kam wohnt wohnte hat hatte ist war zahlt zahlte arbeitet unterschrieb übernimmt bleibt möchte will dit demande habite travaille est était a vient signe reçoit dice vive trabaja llega firmó pidió es era tiene pagó "
        "abita lavora arriva ha è era vuole chiede firma woont werkt belt komt zegt heeft is mora vive trabalha tem vem assinou mieszka pracuje dzwoni dzwonił dzwoniła ma jest bor arbetar ringer kommer säger har är живёт работает звонил звонила сказал сказала пришёл просит подписал подписала оплатил"
    ),
    place="in at near from to into through across of nach aus bei von im am zum zur à en dans vers chez depuis nel nella da di del te naar uit op em na no w z do we ze i på till från в из на у к от",
    article="the a an this that these every each our your their der die das den dem des ein eine einen einem einer le la les un une des el los las una lo il gli de het een o os as um uma ett en det",
    owning="my his her mein meine meinen meiner unser unsere unseren ihr ihre sein seine mon ma mes notre son sa mi mis su nuestro nuestra mio mia suo sua nostro nostra mijn zijn haar onze meu minha seu sua nosso mój moja min mitt mina vår мой моя наш наша",
    joining="and & or und et y e en i och oder ou o и или with mit avec con met com z med с cc bcc by von par por da door for für pour per voor para dla för",
    company=(
        "ltd inc gmbh ag llc llp plc corp co company group bank holding energy logistics systems insurance foods partners software airlines hotel hotels museum university hospital institute foundation verlag werke versicherung consulting motors s.a sa srl spa bv nv ab oy kg ohg e.v sons "
        "brothers team college school church park airport station theatre theater award prize equation theorem transform law effect test method street road avenue lane bridge square building tower stadium castle lake river mountain mount valley forest sea ocean bay island islands hills street's "
        "straße platz brücke allee weg ring schule stiftung klinik banco banque banca universität université universidad università museo musée"
    ),
)  # fmt: skip

# They stand between the parts of one name, in small letters.
PARTICLES = frozenset(
    "van von de der den del della di da do dos das du le la el al bin bint ibn ben ten ter te zu zum zur af av y e d' o' st".split()
)
# Behind a name they say that it is a company's or a place's.
NOT_BEHIND_A_PERSON = frozenset(word for word, name in CLASSES.items() if name == "company")
