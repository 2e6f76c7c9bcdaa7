"""Words that mean little in a name, and words that mean the same: general knowledge as tables, no name among them.

Every word is in the form that payments.screening.names gives it: ASCII, lower case, without full stops and apostrophes.
Sources: ISO 20275 (entity legal forms, GLEIF's code list) for the legal forms; the UN's romanisation tables (UNGEGN)
for the spellings of particles.
"""

from typing import Final

Phrase = tuple[str, ...]


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


_SAME_FORM: Final[dict[str, str]] = {
    "corporation": "inc, incorporated, corp, corporation, co, company, cie, compagnie",
    "limited": "ltd, limited, co ltd, company limited, co limited, corporation limited, corp ltd, pvt ltd,"
    " private limited, pte ltd, pty ltd, proprietary limited, sdn bhd, sendirian berhad",
    "public limited": "plc, public limited company, tbk, bhd, berhad",
    "joint stock": "jsc, joint stock company, ojsc, open joint stock company, cjsc, closed joint stock company, pjsc,"
    " public joint stock company, oao, zao, pao, ao, aktsionernoe obshchestvo, otkrytoe aktsionernoe obshchestvo,"
    " zakrytoe aktsionernoe obshchestvo, publichnoe aktsionernoe obshchestvo, prat, pat",
    "limited liability": "llc, limited liability company, ooo, obshchestvo s ogranichennoy otvetstvennostyu, tov, too,"
    " tovaristvo z obmezhenoyu vidpovidalnistyu, mchj, fze, fzco, fz llc, wll, with limited liability",
    "gmbh": "gmbh, gesellschaft mit beschrankter haftung, mbh, ggmbh, ug, gesmbh",
    "ag": "ag, aktiengesellschaft, kgaa",
    "se": "se, societas europaea",
    "kg": "kg, kommanditgesellschaft, gmbh and co kg, ohg, gbr",
    "sarl": "sarl, societe a responsabilite limitee, eurl",
    "bvba": "bvba, sprl",
    "sas": "sas, societe par actions simplifiee, sasu",
    "sa": "sa, societe anonyme, sociedad anonima, sociedade anonima, spolka akcyjna, sa de cv, sab de cv,"
    " sociedad anonima de capital variable",
    "srl": "srl, societa a responsabilita limitata, societatea cu raspundere limitata,"
    " societate cu raspundere limitata, sociedad de responsabilidad limitada,"
    " sl, slu, sociedad limitada, lda, ltda, limitada, s de rl de cv, s de rl",
    "spa": "spa, societa per azioni",
    "bv": "bv, besloten vennootschap",
    "nv": "nv, naamloze vennootschap",
    "ab": "ab, aktiebolag, aktiebolaget, ab publ",
    "oy": "oy, oyj, osakeyhtio",
    "as": "as, a s, asa, aksjeselskap, aktieselskab",
    "aps": "aps, anpartsselskab",
    "sp zoo": "sp z oo, sp zoo, sp z o o, spolka z oo, spolka z ograniczona odpowiedzialnoscia",
    "sro": "sro, spol s ro, spolecnost s rucenim omezenym",
    "doo": "doo, drustvo s ogranicenom odgovornoscu",
    "ad": "ad, aktsionerno druzhestvo",
    "kft": "kft, korlatolt felelossegu tarsasag",
    "rt": "zrt, nyrt, rt",
    "anonim sirketi": "anonim sirketi, anonim sirket",
    "limited sirketi": "ltd sti, limited sirketi",
    "pt": "pt, perseroan terbatas",
    "kabushiki kaisha": "kk, kabushiki kaisha, kabushikigaisha",
    "partnership": "lp, limited partnership, llp, limited liability partnership",
    "national association": "na, national association",
}
LEGAL_FORMS: Final[dict[Phrase, str]] = {
    tuple(phrase.split()): form for form, phrases in _SAME_FORM.items() for phrase in phrases.split(", ")
}
"""Words of a legal form → the form. One form under several spellings and languages is one form here."""

LEGAL_FORM_LENGTHS: Final[dict[str, tuple[int, ...]]] = {
    first: tuple(sorted({len(phrase) for phrase in LEGAL_FORMS if phrase[0] == first}, reverse=True))
    for first, *_ in LEGAL_FORMS
}
"""First word of a legal form → how many words the forms that begin so have, longest first."""

NATIVE_LEGAL_FORMS: Final = {
    "股份有限公司": "joint stock",
    "有限责任公司": "limited liability",
    "有限責任公司": "limited liability",
    "有限公司": "limited",
    "株式会社": "kabushiki kaisha",
    "주식회사": "kabushiki kaisha",
    "유한회사": "limited liability",
}
"""Written without a space before them: taken away before a name is romanised. Longer ones stand first."""

PARTICLES: Final = frozenset(
    _words(
        "al el ul ud ad as ash an ar at az ed es ez l bin ibn ben bint binti binte bn bnt b",
        "y e i de del della di da do dos das du des d la le les lo van von vom zu zum zur der den ter ten te af av og",
        "und na st",
    )
)
"""Articles and words of descent, which are written, joined to the next word or left out at will."""

TITLES: Final = frozenset(
    _words(
        "mr mrs ms miss dr prof professor sir lord lady dame president prasident prezident minister gen colonel col",
        "capt captain lieutenant lt sheikh shaikh shaykh sheik cheikh haji hajji hadji hajj mullah mulla maulana",
        "mawlawi maulavi molvi qari ayatollah rev reverend herr frau senor senora monsieur madame jr sr esq",
    )
)
"""Titles that are hardly ever a name: Sultan, Prince or Sayed are both, and stay."""

SERVANT_OF: Final = dict.fromkeys(_words("abdul abdel abdal abdoul abdur abdus abdush abdud abdar"), "abd")
"""`Abdul Aziz` and `Abd al-Aziz`: the article stands with the one word or the other."""

CONNECTIVES: Final = frozenset(_words("the and of for in und et y de del des du der die das la le los las"))
"""Words of an organisation's name that are dropped or translated at will."""

SPELLINGS: Final = {
    "organisation": "organization",
    "labour": "labor",
    "centre": "center",
    "defence": "defense",
    "programme": "program",
    "gruppe": "group",
    "groupe": "group",
    "grupo": "group",
    "intl": "international",
    "natl": "national",
    "dept": "department",
    "govt": "government",
    "bros": "brothers",
    "assoc": "association",
    "univ": "university",
    "us": "united states",
    "usa": "united states",
    "uk": "united kingdom",
    "uae": "united arab emirates",
}

_UNITS: Final = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen",
    "eighteen nineteen",
)
_ORDINALS: Final = _words("zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
_TENS: Final = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_ROMAN: Final = _words(
    "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx xxi xxii xxiii xxiv xxv",
)

TENS: Final = frozenset(range(20, 100, 10))
NUMBER_WORDS: Final[dict[str, int]] = (
    {word: value for value, word in enumerate(_UNITS)}
    | {word: value for value, word in enumerate(_ORDINALS)}
    | {word: 20 + 10 * tens for tens, word in enumerate(_TENS)}
)
ROMAN_NUMBERS: Final[dict[str, int]] = {word: value for value, word in enumerate(_ROMAN, 1)}
