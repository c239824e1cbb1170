"""Plans in plain words and the small Python functions that carry them out."""

from random import Random

from pipestill.pretraining.corpus.document import Document, chat, plain

NAMES = ["solve", "compute", "work", "run", "process", "handle", "make", "build", "apply", "convert"]
LIST_NAMES = ["values", "items", "numbers", "xs", "data"]
# plan line, code; {v} is the current value, {k} a small number, {l} the list
STEPS = (
    ("keep the values above {k}", "{l} = [x for x in {l} if x > {k}]"),
    ("keep the values below {k}", "{l} = [x for x in {l} if x < {k}]"),
    ("keep the even values", "{l} = [x for x in {l} if x % 2 == 0]"),
    ("keep the odd values", "{l} = [x for x in {l} if x % 2 == 1]"),
    ("drop the values equal to {k}", "{l} = [x for x in {l} if x != {k}]"),
    ("add {k} to each value", "{l} = [x + {k} for x in {l}]"),
    ("multiply each value by {k}", "{l} = [x * {k} for x in {l}]"),
    ("subtract {k} from each value", "{l} = [x - {k} for x in {l}]"),
    ("square each value", "{l} = [x * x for x in {l}]"),
    ("take absolute values", "{l} = [abs(x) for x in {l}]"),
    ("sort the values", "{l} = sorted({l})"),
    ("sort from largest to smallest", "{l} = sorted({l}, reverse=True)"),
    ("reverse the list", "{l} = {l}[::-1]"),
    ("keep the first {k} values", "{l} = {l}[:{k}]"),
    ("skip the first {k} values", "{l} = {l}[{k}:]"),
    ("remove duplicates", "{l} = list(dict.fromkeys({l}))"),
)
ENDS = (
    ("return the list", "return {l}"),
    ("return the sum", "return sum({l})"),
    ("return how many are left", "return len({l})"),
    ("return the largest, or 0 if there is none", "return max({l}, default=0)"),
    ("return the smallest, or 0 if there is none", "return min({l}, default=0)"),
    ("return the first value, or None", "return {l}[0] if {l} else None"),
)
TEXT_STEPS = (
    ("make it lower case", "text = text.lower()"),
    ("make it upper case", "text = text.upper()"),
    ("strip spaces at both ends", "text = text.strip()"),
    ("replace spaces by dashes", 'text = text.replace(" ", "-")'),
    ("reverse the text", "text = text[::-1]"),
    ("keep the first {k} characters", "text = text[:{k}]"),
)
TEXT_ENDS = (
    ("return the text", "return text"),
    ("return its length", "return len(text)"),
    ("return its words as a list", "return text.split()"),
    ("return the number of words", "return len(text.split())"),
    ("return how often {c} occurs", 'return text.count("{c}")'),
)
LOOP_BODIES = (
    ("add each value to the total", "total += x"),
    ("add each value above {k} to the total", "if x > {k}:\n            total += x"),
    ("count the values equal to {k}", "if x == {k}:\n            total += 1"),
    ("count the even values", "if x % 2 == 0:\n            total += 1"),
    ("add the square of each value", "total += x * x"),
)
REQUESTS = ("Carry out the plan as a Python function {name}.", "Plan into code, function {name}.", "Code for {name}:")


def _listing(rng: Random) -> tuple[list[str], list[str], str]:
    argument = rng.choice(LIST_NAMES)
    chosen = [*rng.sample(STEPS, rng.randint(1, 3)), rng.choice(ENDS)]
    filled = []
    for plan, line in chosen:
        k = rng.randint(1, 9)
        filled.append((plan.format(k=k), line.format(k=k, l=argument)))
    return [plan for plan, _ in filled], [line for _, line in filled], argument


def _textual(rng: Random) -> tuple[list[str], list[str], str]:
    chosen = [*rng.sample(TEXT_STEPS, rng.randint(1, 3)), rng.choice(TEXT_ENDS)]
    filled = []
    for plan, line in chosen:
        k, c = rng.randint(1, 9), rng.choice("abcdefghijklmnoprstuvwz")
        filled.append((plan.format(k=k, c=c), line.format(k=k, c=c)))
    return [plan for plan, _ in filled], [line for _, line in filled], "text"


def _looping(rng: Random) -> tuple[list[str], list[str], str]:
    argument, k = rng.choice(LIST_NAMES), rng.randint(1, 9)
    plan, body = (part.format(k=k) for part in rng.choice(LOOP_BODIES))
    lines = ["total = 0", f"for x in {argument}:\n        {body}", "return total"]
    return ["start with total 0", plan, "return the total"], lines, argument


def program(rng: Random) -> Document:
    """A plan turned into code, code turned into its plan, or code only."""
    plans, lines, argument = rng.choices((_listing, _textual, _looping), weights=(5, 2, 2))[0](rng)
    name = rng.choice(NAMES) + rng.choice(("", f"_{argument}", "_all", f"_{rng.randint(1, 99)}"))
    source = "\n".join([f"def {name}({argument}):", *(f"    {line}" for line in lines)])
    plan = "\n".join(f"{i}. {step}" for i, step in enumerate(plans, 1))
    use = rng.random()
    if use < 0.65:
        return chat("code", (f"{rng.choice(REQUESTS).format(name=name)}\n{plan}", source))
    if use < 0.9:
        return chat(
            "code", (f"{rng.choice(('Plan of this function?', 'Say step by step what it does.'))}\n{source}", plan)
        )
    return plain("code", source)
