"""Clinical case reports in English and Spanish: plain, in brief, as key findings, with questions about single facts."""

from dataclasses import dataclass
from random import Random

from pipestill.pretraining.corpus.document import Document, chat, plain
from pipestill.tasks.multiclinsum import lexicon as words

QUESTIONS = {
    "diagnosis": ("What was the diagnosis?", "¿Cuál fue el diagnóstico?"),
    "treatment": ("Which treatment was given?", "¿Qué tratamiento recibió?"),
    "complaint": ("What was the complaint?", "¿Cuál fue el motivo de consulta?"),
    "age": ("How old is the patient?", "¿Qué edad tiene?"),
    "exam": ("Which test was done?", "¿Qué prueba se hizo?"),
    "outcome": ("What was the outcome?", "¿Cómo evolucionó?"),
    "history": ("Any history?", "¿Qué antecedentes tiene?"),
}
BRIEF_REQUESTS = (("Tell this case in one sentence.", "In short?"), ("Cuenta el caso en una frase.", "¿En breve?"))
FINDING_REQUESTS = (
    ("List diagnosis, test and treatment.", "Main points?"),
    ("Enumera diagnóstico, prueba y tratamiento.", "¿Puntos clave?"),
)

SENTENCES = (
    (
        (
            "A {age}-year-old {person} presented with {complaint} and {second} for {duration} {unit}.",
            "We saw a {person} aged {age} because of {complaint}; {second} had begun {duration} {unit} before.",
            "A {person} of {age} years came to the hospital for {complaint} of {duration} {unit}, with {second}.",
        ),
        ("{He} had a history of {history}.", "Past history: {history}."),
        ("A {exam} showed {finding}.", "{Finding} was seen on {exam}."),
        ("The {lab} level was {level}.", "Laboratory: {lab} {level}."),
        (
            "The diagnosis was {diagnosis}.",
            "This led to the diagnosis of {diagnosis}.",
            "{Diagnosis} was diagnosed.",
        ),
        ("{He} was treated with {treatment}.", "Treatment with {treatment} was started.", "{He} received {treatment}."),
        ("After {after} weeks {he} {outcome}.", "{He} {outcome} {after} weeks later."),
    ),
    (
        (
            "Paciente {paciente} de {age} años que consultó por {complaint} y {second} desde hace {duration} {unit}.",
            "Presentamos el caso de un paciente ({person}) de {age} años con {complaint} y {second} de {duration}"
            " {unit}.",
            "Acude al hospital por {complaint} de {duration} {unit}, con {second}; {person} de {age} años.",
        ),
        ("Tenía antecedentes de {history}.", "Antecedentes: {history}."),
        ("Se realizó {exam} que mostró {finding}.", "En la {exam} se observó {finding}."),
        ("El nivel de {lab} era {level}.", "Laboratorio: {lab} {level}."),
        ("El diagnóstico fue {diagnosis}.", "Se llegó al diagnóstico de {diagnosis}.", "Se diagnosticó {diagnosis}."),
        ("Se trató con {treatment}.", "Se inició tratamiento con {treatment}.", "Recibió {treatment}."),
        ("Tras {after} semanas {outcome}.", "A las {after} semanas {outcome}."),
    ),
)
BRIEF = (
    "{Person}, {age}, with {complaint}: {diagnosis}, {treatment}, {outcome}.",
    "{Person}, {age} años, con {complaint}: {diagnosis}, {treatment}, {outcome}.",
)


@dataclass(frozen=True)
class Case:
    """One patient's story; most fields are pairs of English and Spanish words (language 0 and 1)."""

    age: int
    person: tuple[str, ...]
    complaint: tuple[str, str]
    second: tuple[str, str]
    duration: int
    unit: tuple[str, str]
    history: tuple[str, str]
    exam: tuple[str, str]
    finding: tuple[str, str]
    lab: tuple[str, str]
    level: str
    diagnosis: tuple[str, str]
    treatment: tuple[str, str]
    outcome: tuple[str, str]
    after: int


def draw_case(rng: Random) -> Case:
    """One case from ``rng``."""
    complaint, second = rng.sample(words.COMPLAINTS, 2)
    return Case(
        age=rng.randint(18, 89), person=rng.choice(words.PERSONS), complaint=complaint, second=second,
        duration=rng.randint(2, 9), unit=rng.choice(words.UNITS), history=rng.choice(words.HISTORIES),
        exam=rng.choice(words.EXAMS), finding=rng.choice(words.FINDINGS), lab=rng.choice(words.LABS),
        level=f"{rng.uniform(0.5, 30):.1f}", diagnosis=rng.choice(words.DIAGNOSES),
        treatment=rng.choice(words.TREATMENTS), outcome=rng.choice(words.OUTCOMES), after=rng.randint(2, 12),
    )  # fmt: skip


def _facts(case: Case, language: int) -> dict[str, str | int]:
    """The words of ``case`` in one language, for the templates."""
    facts = {name: value[language] if isinstance(value, tuple) else value for name, value in vars(case).items()}
    facts["Finding"], facts["Diagnosis"] = (
        facts[name][0].upper() + facts[name][1:] for name in ("finding", "diagnosis")
    )
    return facts | {"he": case.person[2].lower(), "He": case.person[2], "paciente": case.person[3]}


def _story(rng: Random, case: Case, language: int) -> list[str]:
    """The sentences of a report."""
    facts = _facts(case, language)
    return [rng.choice(forms).format(**facts) for forms in SENTENCES[language]]


def brief(case: Case, language: int) -> str:
    """The case in one sentence."""
    return BRIEF[language].format(Person=case.person[language].capitalize(), **_facts(case, language))


def key_findings(case: Case, language: int) -> str:
    """Diagnosis, test and treatment as a list."""
    names = (("Diagnosis", "Test", "Treatment"), ("Diagnóstico", "Prueba", "Tratamiento"))[language]
    values = (case.diagnosis[language], f"{case.exam[language]} ({case.finding[language]})", case.treatment[language])
    return "\n".join(f"- {name}: {value}" for name, value in zip(names, values, strict=True))


def report(rng: Random) -> Document:
    """One case report in one of its uses."""
    case, language = draw_case(rng), rng.randrange(2)
    sentences = _story(rng, case, language)
    fillers = rng.sample(words.FILLERS, rng.randint(0, 3))
    if rng.random() < 0.15:  # a long report: another patient's case comes first
        fillers = list(words.FILLERS)
        other = _story(rng, draw_case(rng), language)
        sentences.insert(
            0, ("Another patient was seen before. ", "Antes se atendió a otra persona. ")[language] + " ".join(other)
        )
        sentences.insert(1, ("The present case is different.", "El caso actual es distinto.")[language])
    for filler in fillers:
        sentences.insert(rng.randint(len(sentences) - 6, len(sentences)), filler[language])
    text = " ".join(sentences)
    use = rng.random()
    if use < 0.3:
        closing = f"\n{('In short: ', 'En resumen: ')[language]}{brief(case, language)}" if rng.random() < 0.5 else ""
        return plain("reports", text + closing)
    if use < 0.45:
        return chat("reports", (f"{rng.choice(BRIEF_REQUESTS[language])}\n{text}", brief(case, language)))
    if use < 0.6:
        return chat("reports", (f"{rng.choice(FINDING_REQUESTS[language])}\n{text}", key_findings(case, language)))
    asked = []
    for name in rng.sample(list(QUESTIONS), rng.randint(1, 5)):
        value = getattr(case, name)
        asked.append((QUESTIONS[name][language], str(value) if isinstance(value, int) else value[language]))
    question, answer = asked[0]
    return chat("reports", (rng.choice((f"{text}\n{question}", f"{question}\n{text}")), answer), *asked[1:])
