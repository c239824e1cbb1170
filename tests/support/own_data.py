"""Data as a user has them: e-mails in five classes, and descriptions with titles; run it with a directory to write to.

E-mails are CSV as spreadsheets of many countries write it: semicolons, Windows-1252, a column that nobody needs.
"""

import csv
import sys
from pathlib import Path
from random import Random

from pipestill.io.records import write_jsonl

TEAMS = {
    "billing": ("the invoice shows a wrong sum", "I was charged twice", "where is my refund", "my card was declined"),
    "bug": ("the page crashes", "I get an error after the login", "nothing loads", "the export is broken"),
    "feature": (
        "could you add a dark mode",
        "please add an export",
        "I would like to have tags",
        "a search is missing",
    ),
    "praise": ("I love the new page", "thanks for the quick help", "great work", "the team was very kind"),
    "other": ("where is your office", "are you hiring", "who may use the logo", "I write for a newspaper"),
}
GREETINGS = ("Hello", "Dear team", "Hi", "Good morning", "Grüß Gott", "Olá")
ENDS = ("Best wishes", "Regards", "Thank you", "Sincerely")
NAMES = ("Ann", "José", "Zoë", "Max", "Eva", "Tom", "Mia", "Leo")
PLACES = ("in Berlin", "on my phone", "since Monday", "at work", "this week", "for our club", "today")
COLOURS = ("red", "blue", "green", "black", "white", "grey", "brown", "pink")
THINGS = ("lamp", "chair", "table", "bag", "clock", "bottle", "blanket", "shelf")
MATERIALS = ("steel", "oak", "cotton", "glass", "leather", "paper", "wool", "clay")
ROOMS = ("the kitchen", "the office", "a small room", "the garden", "children", "travellers", "the bath")


def write_emails(path: Path, rows: int = 600, seed: int = 1) -> None:
    """E-mails with the team that answers them."""
    rng = Random(f"emails {seed}")
    with open(path, "w", encoding="cp1252", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["Ticket", "Message", "Team"])
        for number in range(rows):
            team = list(TEAMS)[number % len(TEAMS)]
            said = f"{rng.choice(TEAMS[team])} {rng.choice(PLACES)}"
            text = f"{rng.choice(GREETINGS)},\n{said}; no. {1000 + number}.\n{rng.choice(ENDS)}, {rng.choice(NAMES)}"
            table.writerow([1000 + number, text, team])


def write_pairs(path: Path, rows: int = 500, seed: int = 1) -> None:
    """Descriptions with their titles."""
    rng = Random(f"pairs {seed}")

    def row(number):
        colour, material, thing, room = map(rng.choice, (COLOURS, MATERIALS, THINGS, ROOMS))
        size = 10 + number
        description = f"This {thing} is made of {material}. It is {colour}, {size} cm high, and fits {room}."
        return {"description": description, "title": f"{colour} {thing} of {material}"}

    write_jsonl(path, map(row, range(rows)))


if __name__ == "__main__":
    write_emails(Path(sys.argv[1]) / "emails.csv")
    write_pairs(Path(sys.argv[1]) / "pairs.jsonl")
