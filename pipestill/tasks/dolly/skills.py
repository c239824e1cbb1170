"""The skills that synthetic instructions train, with the wordings of the training rows and those held out."""

from random import Random

from pipestill.tasks import lexicon
from pipestill.tasks.dolly.scenes import Case, Skill, events, joined, kind_of, mixed_kinds, told, with_article

POSITIVE = lexicon.words("clean good warm quick quiet new")
NEGATIVE = lexicon.words("dirty bad cold slow loud old")
ORDERS = {"days": lexicon.DAYS, "months": lexicon.MONTHS, "numbers": lexicon.NUMBER_WORDS}
GRADED = {word: other for pair in list(lexicon.OPPOSITES.items())[:8] for word, other in (pair, pair[::-1])}
NAMES = {"city": lexicon.CITIES, "day": lexicon.DAYS, "who": lexicon.FIRST_NAMES, "product": lexicon.PRODUCTS}


def _extract(rng: Random) -> Case:
    scene = events(rng, rng.randint(2, 3))
    event = rng.choice(scene)
    return Case(told(rng, scene), (f"{event.things} in {event.city}",), {"who": event.who})


def _members(rng: Random) -> Case:
    kind, wanted, mixed = mixed_kinds(rng, rng.randint(2, 3), rng.randint(2, 3))
    return Case(f"In the box: {joined(mixed)}.", (joined(wanted), joined(wanted[::-1])), {"kind": kind})


def _replace(rng: Random) -> Case:
    event = events(rng, 1)[0]
    field = rng.choice(list(NAMES))
    old = getattr(event, field)
    new = rng.choice([name for name in NAMES[field] if name != old])
    sentence = told(rng, [event])
    return Case(sentence, (sentence.replace(old, new),), {"old": old, "new": new})


def _summary(rng: Random) -> Case:
    one, two = events(rng, 2)
    text = f"{one.sentence('who')} {two.sentence('day').replace(two.who, one.who)}"
    deeds = [f"{event.verb} {event.product}" for event in (one, two)]
    return Case(text, tuple(f"{one.who} {a} and {b}." for a, b in (deeds, deeds[::-1])))


def _order(rng: Random) -> Case:
    name, words = rng.choice(list(ORDERS.items()))
    chosen = rng.sample(words, rng.randint(3, 4))
    return Case(", ".join(chosen), (", ".join(sorted(chosen, key=words.index)),), {"what": name})


def _review(rng: Random) -> Case:
    product, person = rng.choice(lexicon.PRODUCTS), rng.choice(lexicon.PEOPLE)
    feelings = [rng.random() < 0.5 for _ in range(2)]
    words = [rng.choice(POSITIVE if good else NEGATIVE) for good in feelings]
    labels = ["positive" if good else "negative" for good in feelings]
    text = f"The {product} were {words[0]} and the {person} was {words[1]}."
    return Case(text, (f"{product} {labels[0]}, {person} {labels[1]}",))


def _fields(rng: Random) -> Case:
    event = events(rng, 1)[0]
    answer = f"- person: {event.who}\n- things: {event.things}\n- city: {event.city}\n- day: {event.day}"
    return Case(told(rng, [event]), (answer,))


def _note(rng: Random) -> Case:
    (sender, receiver), place = rng.sample(lexicon.FIRST_NAMES, 2), rng.choice(lexicon.PLACES)
    day, product = rng.choice(lexicon.DAYS), rng.choice(lexicon.PRODUCTS)
    text = f"to {receiver}, from {sender}, {day}, {place}, {product}"
    return Case(text, (f"Dear {receiver}, please bring the {product} to the {place} on {day}. Yours, {sender}",))


def _prices(rng: Random) -> Case:
    (one, two), things = rng.sample(lexicon.FIRST_NAMES, 2), rng.sample(lexicon.PRODUCTS, 2)
    prices = [lexicon.amount(rng, 5, 900) for _ in range(2)]
    more = "more" if rng.random() < 0.5 else "less"
    winner = (prices[0] > prices[1]) == (more == "less")
    who, price, thing = (one, two)[winner], prices[winner], things[winner]
    text = f"{one} paid {prices[0]:.2f} for {things[0]}. {two} paid {prices[1]:.2f} for {things[1]}."
    return Case(
        text, (f"{who} paid {more}, {price:.2f} for {thing}.", f"{who}, {price:.2f} for {thing}"), {"more": more}
    )


def _sentence(rng: Random) -> Case:
    event = events(rng, 1)[0]
    begin, name = rng.choice((("who", "person"), ("day", "day"), ("city", "city")))
    parts = [event.day, event.city, event.who, event.things]
    rng.shuffle(parts)
    return Case(f"{', '.join(parts)}, {event.verb}", (event.sentence(begin),), {"name": name})


def _opposite(rng: Random) -> Case:
    words = rng.sample(list(GRADED), 2)
    if GRADED[words[0]] == words[1]:
        return _opposite(rng)
    animal, place = rng.choice(lexicon.ANIMALS), rng.choice(lexicon.PLACES)
    text, answer = (
        f"The {animal} was {one} and the {place} was {two}." for one, two in (words, [GRADED[word] for word in words])
    )
    return Case(text, (answer,))


def _count(rng: Random) -> Case:
    kind, wanted, mixed = mixed_kinds(rng, rng.randint(1, 4), rng.randint(1, 2))
    number = lexicon.NUMBER_WORDS[len(wanted)]
    answers = dict.fromkeys(f"{number}: {joined(words)}" for words in (wanted, wanted[::-1]))
    return Case(", ".join(mixed), tuple(answers), {"kind": kind})


def _categories(rng: Random) -> Case:
    words = [rng.choice(members) for members in rng.sample(list(lexicon.KINDS.values()), rng.randint(2, 3))]
    return Case(", ".join(words), (", ".join(f"{word} is {with_article(kind_of(word))}" for word in words),))


def _translate(rng: Random) -> Case:
    words = rng.sample(list(lexicon.TRANSLATIONS), rng.randint(2, 4))
    return Case(", ".join(words), (", ".join(lexicon.TRANSLATIONS[word] for word in words),))


def _check(rng: Random) -> Case:
    scene = events(rng, 2)
    event = rng.choice(scene)
    true = rng.random() < 0.5
    city = event.city if true else rng.choice([name for name in lexicon.CITIES if name != event.city])
    answer = f"{'Yes' if true else 'No'}, {event.who} {event.verb} {event.product} in {event.city}."
    return Case(told(rng, scene), (answer,), {"who": event.who, "city": city})


def _odd(rng: Random) -> Case:
    kind, wanted, mixed = mixed_kinds(rng, 3, 1)
    other = next(word for word in mixed if word not in wanted)
    return Case(", ".join(mixed), (f"{other}, because the others are {kind}s",))


SKILLS = (
    Skill(
        "extract",
        (
            "Extract the things and the city of {who} from the text.",
            "Find the things and the city that the text gives for {who}.",
            "{who}: which things, and in which city?",
        ),
        ("Read the text and say what is about {who}: things, then city.", "What does the text say of {who}?"),
        _extract,
    ),
    Skill(
        "members",
        ("List each {kind} of the text.", "Which {kind}s are in the text?", "Find all {kind}s."),
        ("Give the {kind}s that you read here.", "The text has some {kind}s. What are they?"),
        _members,
    ),
    Skill(
        "replace",
        (
            "Write the text with {new} in place of {old}.",
            "Use {new}, not {old}, in the text.",
            "Put {new} where the text says {old}.",
        ),
        ("The text should say {new} and not {old}. Write it.", "Correct the text: {old} is wrong, {new} is right."),
        _replace,
    ),
    Skill(
        "summary",
        (
            "Summarize the text in one sentence.",
            "Write a summary of the text.",
            "Give a short summary, one sentence.",
        ),
        ("What is the text about?", "Write the text again, but short."),
        _summary,
    ),
    Skill(
        "order",
        ("Put the {what} in order.", "Write the {what} in the right order.", "Order the {what} from first to last."),
        ("Which of the {what} is first, and which are next?", "The {what} are not in order. Correct them."),
        _order,
    ),
    Skill(
        "review",
        (
            "Classify each part of the review as positive or negative.",
            "Which parts of the review are positive or negative?",
            "Label the parts of the review: positive or negative.",
        ),
        ("Was the writer happy? Label each part.", "Say for each thing if the text is positive or negative."),
        _review,
    ),
    Skill(
        "fields",
        ("Write the text as a list of fields.", "List the person, things, city and day.", "Extract all fields."),
        ("Who, what, where and when? Make a list.", "Give the information of the text as points."),
        _fields,
    ),
    Skill(
        "note",
        ("Write a short letter.", "Write a letter with this information.", "Make a letter from the text."),
        ("Someone has to bring something. Write to that person.", "Turn the text into a note."),
        _note,
    ),
    Skill(
        "prices",
        ("Who paid {more}, and for what?", "Find the person that paid {more}.", "Which person paid {more}? Say why."),
        ("Read the prices. Whose is {more}?", "One of them paid {more}. Who?"),
        _prices,
    ),
    Skill(
        "sentence",
        (
            "Write a sentence with these words. Begin with the {name}.",
            "Make a sentence that begins with the {name}.",
            "Write one sentence, the {name} first.",
        ),
        ("Use all words in a sentence; its first part is the {name}.", "Say it as a text. The {name} comes first."),
        _sentence,
    ),
    Skill(
        "opposite",
        ("Write the opposite of the text.", "Say the opposite.", "Make a text that says the opposite."),
        ("Nothing in the text is true. Write what is.", "Change the text so that it is the other way around."),
        _opposite,
    ),
    Skill(
        "count",
        ("How many {kind}s are here?", "Count the {kind}s.", "Find the number of {kind}s."),
        ("Say how many of the words are {kind}s.", "What is the number of {kind}s in the list?"),
        _count,
    ),
    Skill(
        "categories",
        ("Classify the words.", "Say what kind of thing each word is.", "Which kind is each word?"),
        ("What are these things?", "Explain what each word names."),
        _categories,
    ),
    Skill(
        "translate",
        ("Write the words in Spanish.", "Give the Spanish words.", "How are these words said in Spanish?"),
        ("In Lima, which words would this be?", "Spanish, please."),
        _translate,
    ),
    Skill(
        "check",
        ("Was {who} in {city}?", "Is it true that {who} was in {city}?", "{who} was in {city}. True or false?"),
        ("Someone says that {who} was in {city}. Is that right?", "Read the text: did {who} go to {city}?"),
        _check,
    ),
    Skill(
        "odd",
        (
            "Which word is not like the others?",
            "Find the word that is wrong here.",
            "One word is of another kind. Which?",
        ),
        ("Three of the words go together. What about the other?", "Which word should not be in the list?"),
        _odd,
    ),
)
