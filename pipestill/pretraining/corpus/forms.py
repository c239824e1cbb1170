"""Key-value lists into JSON with random keys, invoices with questions about single fields, dates and amounts."""

import json
from random import Random

from pipestill.pretraining.corpus.document import Document, chat, plain
from pipestill.tasks import lexicon

JSON_REQUESTS = (
    "Write as JSON.",
    "Turn the list into a JSON object.",
    "JSON:",
    "Give these fields as JSON: {keys}.",
    "Return a JSON object with the keys {keys}.",
    "Keep only {keys} and write JSON.",
)
INVOICE_FIELDS = {
    "number": ("What is the invoice number?", "Number of the invoice?"),
    "vendor": ("Who sent the invoice?", "Name the seller."),
    "buyer": ("Who has to pay?", "Name the buyer."),
    "date": ("When was it issued? Use year-month-day.", "Day of issue as YYYY-MM-DD?"),
    "total": ("How much is the total?", "Total to pay, as a number?"),
    "currency": ("In which currency?", "Currency code?"),
    "item": ("What was sold?", "Name the first item."),
}


def date_forms(year: int, month: int, day: int) -> list[str]:
    """A date as people write it, English and Spanish."""
    name, nombre = lexicon.MONTHS[month - 1], lexicon.MONTHS_ES[month - 1]
    return [
        f"{year}-{month:02d}-{day:02d}", f"{day}/{month:02d}/{year}", f"{day:02d}.{month:02d}.{year}",
        f"{name} {day}, {year}", f"{day} {name} {year}", f"{name[:3]} {day}, {year}",
        f"{day} {name[:3]} {year}", f"{day} de {nombre} de {year}",
    ]  # fmt: skip


def draw_date(rng: Random) -> tuple[str, str]:
    """A date as written somewhere, and in ISO form."""
    year, month, day = rng.randint(1990, 2029), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice(date_forms(year, month, day)), f"{year}-{month:02d}-{day:02d}"


def draw_money(rng: Random) -> tuple[str, str, str]:
    """An amount as written somewhere, as a plain number, and its currency."""
    value = lexicon.amount(rng)
    if rng.random() < 0.25:
        value = float(round(value) or 1)
    sign, currency = rng.choice(list(lexicon.CURRENCY_SIGNS.items()))
    number = rng.choice((f"{value:,.2f}", f"{value:.2f}"))
    written = rng.choice((f"{sign}{number}", f"{currency} {number}", f"{number} {currency}", f"{sign} {number}"))
    return written, f"{value:.2f}", currency


def _value(rng: Random) -> str:
    return rng.choice(
        (
            lambda: lexicon.person(rng),
            lambda: lexicon.company(rng),
            lambda: lexicon.code(rng),
            lambda: f"{lexicon.amount(rng):.2f}",
            lambda: str(rng.randint(0, 999)),
            lambda: draw_date(rng)[0],
            lambda: rng.choice(lexicon.CITIES),
            lambda: f"{rng.choice(lexicon.ADJECTIVES)} {rng.choice(lexicon.PRODUCTS)}",
            lambda: rng.choice(lexicon.LABEL_WORDS),
            lambda: " ".join(rng.sample(lexicon.PRODUCTS, 2)),
        )
    )()


def key_values(rng: Random) -> Document:
    """Two to seven fields with random keys, and the JSON object of all or some of them; a missing one is null."""
    keys = rng.sample(lexicon.JSON_KEYS, rng.randint(2, 7))
    fields = {key: _value(rng) for key in keys}
    joiner, mark = rng.choice((("\n", ": "), (", ", ": "), ("; ", "="), ("\n", " = "), ("\n", " | "), (". ", " is ")))
    shown = dict(fields)
    if rng.random() < 0.3:
        shown = {key.capitalize(): value for key, value in fields.items()}
    source = joiner.join(f"{key}{mark}{value}" for key, value in shown.items())
    request = rng.choice(JSON_REQUESTS)
    asked = list(fields)
    if "{keys}" in request:
        asked = rng.sample(asked, rng.randint(1, len(asked)))
        if rng.random() < 0.15:
            asked.append(rng.choice([key for key in lexicon.JSON_KEYS if key not in fields]))
    answer = {}
    for key in asked:
        value = fields.get(key)
        bare = value is not None and value.replace(".", "", 1).isdigit() and not (value[0] == "0" and len(value) > 1)
        answer[key] = value if value is None or not bare else (float(value) if "." in value else int(value))
    request = request.format(keys=", ".join(asked))
    question = f"{request}\n{source}" if rng.random() < 0.5 else f"{source}\n{request}"
    return chat("json", (question, _dumps(answer)))


def _dumps(fields: dict) -> str:
    """JSON with the digits of an amount as they were written (two decimals)."""
    parts = [
        f"{json.dumps(key)}: {f'{value:.2f}' if isinstance(value, float) else json.dumps(value, ensure_ascii=False)}"
        for key, value in fields.items()
    ]
    return "{" + ", ".join(parts) + "}"


def _invoice(rng: Random) -> tuple[str, dict[str, str]]:
    written_date, iso = draw_date(rng)
    money, number, currency = draw_money(rng)
    vendor, buyer, code = lexicon.company(rng), lexicon.company(rng), lexicon.code(rng)
    item, units = rng.choice(lexicon.PRODUCTS), rng.randint(1, 90)
    lines = [
        rng.choice((f"Invoice {code}", f"Invoice no. {code}", f"INVOICE #{code}", f"Bill number {code}")),
        rng.choice((f"Date: {written_date}", f"Issued on {written_date}", f"Dated {written_date}")),
        rng.choice((f"From: {vendor}", f"Seller: {vendor}", f"{vendor}, {rng.choice(lexicon.CITIES)}, as seller")),
        rng.choice((f"To: {buyer}", f"Bill to {buyer}", f"Customer: {buyer}")),
        rng.choice((f"{units} x {item}", f"{item}, {units} units", f"Items: {units} {item}")),
        rng.choice((f"Total: {money}", f"Amount due {money}", f"Please pay {money}")),
    ]
    if rng.random() < 0.4:
        lines.insert(
            rng.randint(1, 5), rng.choice(("Thank you.", "Net 30 days.", f"Ref. {lexicon.code(rng)}", "VAT included."))
        )
    fields = {
        "number": code,
        "vendor": vendor,
        "buyer": buyer,
        "date": iso,
        "total": number,
        "currency": currency,
        "item": item,
    }
    return rng.choice(("\n", "\n", ". ", " | ")).join(lines), fields


def invoice(rng: Random) -> Document:
    """An invoice: as plain text, or with questions about single fields."""
    text, fields = _invoice(rng)
    if rng.random() < 0.25:
        return plain("invoices", text)
    asked = [(rng.choice(INVOICE_FIELDS[name]), fields[name]) for name in rng.sample(list(fields), rng.randint(1, 4))]
    question, answer = asked[0]
    return chat("invoices", (rng.choice((f"{text}\n{question}", f"{question}\n{text}")), answer), *asked[1:])


def normalised(rng: Random) -> Document:
    """Dates into ISO form and amounts into plain numbers, one to three of them."""
    turns = []
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.5:
            written, answer = draw_date(rng)
            turns.append((rng.choice((f"{written} as YYYY-MM-DD?", f"Write {written} as year-month-day.")), answer))
        else:
            written, number, currency = draw_money(rng)
            turns.append((rng.choice((f"{written} as a number?", f"Amount in {written}?")), number))
            if rng.random() < 0.3:
                turns.append((f"Currency of {written}?", currency))
    return chat("dates", *turns)
