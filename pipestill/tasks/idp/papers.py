"""Layouts of business papers: where a paper says what, and by which words."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pipestill.tasks.idp.facts import Facts
from pipestill.tasks.idp.writing import Hand

TITLES = {"invoice": ("Invoice", "Bill"), "receipt": ("Receipt",), "order": ("Order", "Purchase order")}
EXTRAS = (
    "Many thanks!",
    "Payable in 30 days.",
    "Taxes included.",
    "Page 1 of 1",
    "Paid by card.",
    "Tel. 555 0132",
    "Copy",
)


@dataclass(frozen=True)
class Paper:
    """A layout.

    Attributes:
        name: in the rows.
        lines: in order, each with its wordings; gaps are those of :func:`written`. A line is left out where the paper
            does not say one of its gaps.
        item: of the gap ``{items}``, one for each item.
        between: what stands between items.
        joiner: what stands between lines.
        noisy: whether further lines may stand between its lines.
    """

    name: str
    lines: Sequence[Sequence[str]]
    item: str
    between: str = "\n"
    joiner: str = "\n"
    noisy: bool = True


READ = (  # of training rows and of the test set `known`
    Paper(
        name="letterhead",
        lines=(
            ("{title} {number}", "{title} nr. {number}"),
            ("{title}",),
            ("Day of issue: {date}", "Issued: {date}"),
            ("Issuer: {vendor}", "Sender: {vendor}"),
            ("For: {buyer}", "Recipient: {buyer}"),
            ("{items}",),
            ("To be paid: {total}", "Sum total: {total}"),
        ),
        item="{quantity} x {product} @ {price}",
    ),
    Paper(
        name="table",
        lines=(
            ("{vendor}",),
            ("{title}",),
            ("No. | {number}", "Number | {number}"),
            ("Day | {date}", "Date | {date}"),
            ("Client | {buyer}", "Buyer | {buyer}"),
            ("Item | Qty | Price | Sum\n{items}",),
            ("Total | {total}",),
        ),
        item="{product} | {quantity} | {price} | {amount}",
    ),
    Paper(
        name="till",
        lines=(
            ("{vendor}",),
            ("{title} {number}", "{title} #{number}"),
            ("{title}",),
            ("{items}",),
            ("TOTAL {total}", "SUM {total}"),
            ("for {buyer}",),
            ("{date}",),
        ),
        item="{product} {quantity} * {price}",
    ),
    Paper(
        name="sentence",
        lines=(
            ("{title} #{number}", "{title} {number}"),
            ("{title}",),
            ("date {date}", "of {date}"),
            ("from {vendor}",),
            ("to {buyer}", "for {buyer}"),
            ("with {items},",),
            ("total {total}.",),
        ),
        item="{quantity} {product} at {price}",
        between=" and ",
        joiner=" ",
        noisy=False,
    ),
    Paper(
        name="fields",
        lines=(
            ("type={title}",),
            ("id={number}",),
            ("day={date}", "date={date}"),
            ("buyer={buyer}", "client={buyer}"),
            ("seller={vendor}", "vendor={vendor}"),
            ("{items}",),
            ("total={total}",),
        ),
        item="line={product}, {quantity}, {price}",
        between="; ",
        joiner="; ",
    ),
    Paper(
        name="mail",
        lines=(
            ("Dear {buyer},",),
            ("your {title} {number}", "here is {title} {number}"),
            ("your {title}",),
            ("written on {date}", "sent on {date}"),
            ("{items}",),
            ("Kindly pay {total}", "It comes to {total}"),
            ("Regards, {vendor}", "Yours, {vendor}"),
        ),
        item="- {product}: {quantity} pieces, {price} each",
    ),
)
UNREAD = (  # of the test set `unseen` alone
    Paper(
        name="ledger",
        lines=(
            ("{date} / {title} {number}", "{date}: {title} {number}"),
            ("{title} {number}",),
            ("{date} / {title}",),
            ("{title}",),
            ("{vendor} to {buyer}", "{vendor} for {buyer}"),
            ("{vendor}",),
            ("{items}",),
            ("Sum: {total}", "Balance: {total}"),
        ),
        item="{quantity} {product} * {price} = {amount}",
    ),
    Paper(
        name="slip",
        lines=(
            ("Total due | {total}", "To pay | {total}"),
            ("{items}",),
            ("Day: {date}", "Issue date: {date}"),
            ("{title} number: {number}",),
            ("Type: {title}",),
            ("Account of: {buyer}", "Bought by: {buyer}"),
            ("Sold by: {vendor}", "Shop: {vendor}"),
        ),
        item="{product}; {quantity} pieces; {price}",
    ),
    Paper(
        name="note",
        lines=(
            ("{vendor} sent the {title} {number}", "{vendor} wrote {title} {number}"),
            ("{vendor} sent the {title}",),
            ("on {date}",),
            ("to {buyer}", "to the client {buyer}"),
            ("for {items}:",),
            ("kindly pay {total}.", "{total} in all."),
        ),
        item="{quantity} pieces of {product} at {price} each",
        between=" and ",
        joiner=" ",
        noisy=False,
    ),
)


def written(rng: Random, paper: Paper, facts: Facts, hand: Hand) -> list[str]:
    """The lines of a paper.

    Of lines that say the same, the first one whose gaps the paper fills stands for all: what it says is said once.
    """
    title = rng.choice(TITLES[facts.kind])
    items = paper.between.join(
        paper.item.format(
            place=place,
            product=item.product,
            quantity=item.quantity,
            price=hand.amount(item.price),
            amount=hand.amount(item.amount),
        )
        for place, item in enumerate(facts.items, 1)
    )
    gaps = {
        "title": title,
        "number": facts.number,
        "date": facts.date and hand.day(facts.date),
        "vendor": facts.vendor,
        "buyer": facts.buyer,
        "total": hand.sum(facts.total),
        "items": items or None,
    }
    lines, said = [], set()
    for wordings in paper.lines:
        wording = rng.choice(wordings)
        asked = {name for name in gaps if f"{{{name}}}" in wording}
        if any(gaps[name] is None for name in asked) or (asked and asked <= said):
            continue
        said |= asked
        lines.append(wording.format(**gaps))
    return lines
