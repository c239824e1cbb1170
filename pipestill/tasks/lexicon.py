"""The words of the synthetic corpora, most of them one or two tokens; generators of tasks may draw from them too."""


def words(text: str) -> tuple[str, ...]:
    """The words of ``text``."""
    return tuple(text.split())


FIRST_NAMES = words(
    "Anna Ben Clara David Elena Frank Grace Hugo Irene James Karen Luis Maria Nina Oscar Paula Robert Sara Thomas "
    "Victor Laura Peter Julia Marcos Lucia Pablo Carmen Diego Alice Martin"
)
LAST_NAMES = words(
    "Garcia Smith Lopez Brown Martin Miller Torres Wilson Perez Young Castro King Romero Baker Molina Hill Vega "
    "Cooper Ramos Ward Ortega Gray Soto Price Navarro Stone"
)
CITIES = words(
    "Lima Oslo Madrid Paris Berlin Quito Rome Dublin Sevilla Boston Vienna Bogota Geneva Leeds Toledo Denver"
)
COMPANY_STEMS = words(
    "Alpha North River Blue Delta Summit Green Pacific Nova Central Orion Stone Bright Harbor Union Cedar Metro Polar "
    "Silver Foo Bar Acme"
)
COMPANY_KINDS = words("Trading Systems Foods Energy Medical Paper Tools Logistics Design Services")
COMPANY_FORMS = words("LLC Inc Ltd GmbH SA Corp")
PRODUCTS = words(
    "paper chairs tables lamps cables pumps filters bottles boxes pens books phones screens printers bags tools "
    "gloves masks batteries keys coffee tea sugar bread milk"
)
CURRENCY_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP"}
COLOURS = words("red blue green yellow black white brown grey")
ANIMALS = words("dog cat horse cow bird fish sheep goat duck rabbit")
FRUITS = words("apple pear lemon orange grape peach banana cherry")
VEHICLES = words("car bus train boat truck plane bicycle")
KINDS = {"animal": ANIMALS, "fruit": FRUITS, "vehicle": VEHICLES, "colour": COLOURS}
ADJECTIVES = words("small large old new heavy light clean dirty cold warm quiet loud quick slow short tall young happy")
OPPOSITES = {
    "small": "large", "old": "new", "heavy": "light", "clean": "dirty", "cold": "warm", "quiet": "loud",
    "quick": "slow", "short": "tall", "open": "closed", "full": "empty", "early": "late", "true": "false",
    "good": "bad", "positive": "negative", "high": "low", "right": "wrong",
}  # fmt: skip
PEOPLE = words("doctor teacher lawyer farmer nurse student writer driver baker artist judge singer")
PLACES = words("market station school hospital garden park office library bridge kitchen church harbor")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February March April May June July August September October November December")
MONTHS_ES = words("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre")
NUMBER_WORDS = words("zero one two three four five six seven eight nine ten eleven twelve")
LABEL_WORDS = words(
    "Good Standard Bad Yes No True False Positive Negative Neutral positive negative neutral good bad standard yes no "
    "true false High Medium Low high medium low entailment contradiction poor None null A B C D"
)
JSON_KEYS = words(
    "name city date total amount price vendor buyer customer currency number code status color size weight age id "
    "phone email street country product quantity unit tax discount rate title author year month day time kind level "
    "owner order item note department manager salary balance account branch score group team place reference due"
)
TRANSLATIONS = {  # English -> Spanish
    "house": "casa", "water": "agua", "book": "libro", "table": "mesa", "dog": "perro", "cat": "gato", "sun": "sol",
    "moon": "luna", "door": "puerta", "bread": "pan", "milk": "leche", "city": "ciudad", "street": "calle",
    "doctor": "médico", "patient": "paciente", "pain": "dolor", "fever": "fiebre", "cough": "tos", "heart": "corazón",
    "head": "cabeza", "blood": "sangre", "day": "día", "week": "semana", "month": "mes", "year": "año", "man": "hombre",
    "woman": "mujer", "hand": "mano", "red": "rojo", "blue": "azul", "green": "verde", "white": "blanco",
}  # fmt: skip


def company(rng) -> str:
    """A company name such as "River Tools LLC" or "Bar LLC"."""
    kind = f" {rng.choice(COMPANY_KINDS)}" if rng.random() < 0.6 else ""
    return f"{rng.choice(COMPANY_STEMS)}{kind} {rng.choice(COMPANY_FORMS)}"


def person(rng) -> str:
    """A first and a last name."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def code(rng) -> str:
    """An identifier such as "INV-2041", "A731" or "48213"."""
    digits = "".join(rng.choices("0123456789", k=rng.randint(2, 6)))
    letters = "".join(rng.choices("ABCDEFGHIKLMNPRSTVX", k=rng.randint(1, 3)))
    return rng.choice((f"{letters}-{digits}", f"{letters}{digits}", digits, f"{letters}/{digits}"))


def amount(rng, low: float = 1.0, high: float = 90_000.0) -> float:
    """An amount between ``low`` and ``high``, uniform in its logarithm, with two decimals."""
    return round(low * (high / low) ** rng.random(), 2)
