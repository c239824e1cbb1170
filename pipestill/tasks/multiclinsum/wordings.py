"""Wordings of synthetic case reports, their summaries and key findings, English and Spanish side by side.

Every part of a report has several wordings in each language; a form is an order of parts. Two parts are distractors:
``suspected`` names a diagnosis that was wrong, ``tried`` a treatment that was given up.
"""

Wordings = tuple[str, ...]

PARTS: dict[str, tuple[Wordings, Wordings]] = {
    "opening": (
        (
            "A {age}-year-old {person} came to the hospital with {complaint} and {second} for {duration} {unit}.",
            "We saw a {person} of {age} years for {complaint} that began {duration} {unit} before, with {second}.",
            "The patient, a {age}-year-old {person}, presented with {complaint} of {duration} {unit} and {second}.",
            "{Complaint} and {second} had begun {duration} {unit} before in a {person} aged {age}.",
        ),
        (
            "Acude al hospital {un} {person} de {age} años con {complaint} y {second} desde hace {duration} {unit}.",
            "Presentamos el caso de {un} {person} de {age} años con {complaint} de {duration} {unit}, con {second}.",
            "Paciente ({person}) de {age} años que consultó por {complaint} y {second} de {duration} {unit}.",
            "{Complaint} y {second} desde hace {duration} {unit} en {un} {person} de {age} años.",
        ),
    ),
    "history": (
        ("{He} had a history of {history}.", "Past history: {history}.", "There was a history of {history}."),
        ("Tenía antecedentes de {history}.", "Antecedentes: {history}.", "Refería antecedentes de {history}."),
    ),
    "suspected": (
        (
            "{Suspected} was suspected first, but the {other_exam} was normal.",
            "The first diagnosis was {suspected}; the {other_exam} was normal.",
            "It was not {suspected}: the {other_exam} was normal.",
        ),
        (
            "Primero se pensó en {suspected}, pero la prueba ({other_exam}) fue normal.",
            "El primer diagnóstico fue {suspected}; {other_exam} normal.",
            "No era {suspected}: {other_exam} normal.",
        ),
    ),
    "exam": (
        ("The {exam} showed {finding}.", "{Finding} was seen on {exam}.", "On {exam} there was {finding}."),
        (
            "Se realizó {exam} que mostró {finding}.",
            "En {exam} se observó {finding}.",
            "{Exam}: {finding}.",
        ),
    ),
    "diagnosis": (
        (
            "The diagnosis was {diagnosis}.",
            "This led to the diagnosis of {diagnosis}.",
            "{Diagnosis} was diagnosed.",
            "In the end it was {diagnosis}.",
        ),
        (
            "El diagnóstico fue {diagnosis}.",
            "Se llegó al diagnóstico de {diagnosis}.",
            "Se diagnosticó {diagnosis}.",
            "Al final era {diagnosis}.",
        ),
    ),
    "tried": (
        (
            "{Tried} did not help.",
            "{He} received {tried} before, and it did not help.",
            "Treatment with {tried} was stopped.",
        ),
        ("{Tried} sin mejoría.", "Antes recibió {tried} sin mejoría.", "Se dejó el tratamiento con {tried}."),
    ),
    "treatment": (
        (
            "{He} was treated with {treatment}.",
            "Treatment with {treatment} was started.",
            "{He} received {treatment} for {course} days.",
        ),
        ("Se trató con {treatment}.", "Se inició tratamiento con {treatment}.", "Recibió {treatment} {course} días."),
    ),
    "outcome": (
        ("After {after} weeks {he} {outcome}.", "{He} {outcome} {after} weeks later.", "{He} {outcome}."),
        ("Tras {after} semanas {outcome}.", "A las {after} semanas {outcome}.", "{El} paciente {outcome}."),
    ),
    "filler": (
        (
            "The patient lives with the family.",
            "There was no allergy.",
            "Vital signs were normal on arrival.",
            "No recent travel was reported.",
        ),
        (
            "Vive con su familia.",
            "No refería alergias.",
            "Los signos vitales eran normales.",
            "No refería viajes recientes.",
        ),
    ),
}
# Key and order of the parts; a part in brackets is left out in half of the reports.
FORMS: dict[str, Wordings] = {
    "course": ("opening", "[history]", "[filler]", "suspected", "exam", "diagnosis", "[tried]", "treatment", "outcome"),
    "result": ("diagnosis", "opening", "[history]", "exam", "[suspected]", "tried", "treatment", "outcome"),
    "search": ("opening", "[tried]", "[filler]", "exam", "suspected", "diagnosis", "treatment", "[history]", "outcome"),
    "letter": ("[filler]", "treatment", "outcome", "opening", "suspected", "exam", "diagnosis", "tried"),
}
OUTCOMES = (  # two wordings of reports and the one of summaries, in both languages
    (("recovered fully", "was well and without pain", "recovered"),
     ("se recuperó por completo", "estaba bien y sin dolor", "se recuperó")),
    (("improved", "was better", "improved"), ("mejoró", "estaba mejor", "mejoró")),
    (("died", "passed away", "died"), ("falleció", "murió", "falleció")),
    (("was discharged", "went home", "was discharged"), ("recibió el alta", "volvió a casa", "recibió el alta")),
    (("relapsed", "had the same pain again", "relapsed"), ("recayó", "tuvo otra vez el mismo dolor", "recayó")),
)  # fmt: skip
# The style of a summary, by the form of its report; one in four authors takes another one.
SUMMARIES: dict[str, tuple[str, str]] = {
    "course": (
        "A {age}-year-old {person} with {complaint} had {diagnosis}. {He} received {treatment} and {outcome}.",
        "{Un} {person} de {age} años con {complaint} tenía {diagnosis}. Recibió {treatment} y {outcome}.",
    ),
    "result": (
        "{Diagnosis} in a {person} of {age} years: {treatment} after {tried} had failed; {he} {outcome}.",
        "{Diagnosis} en {un} {person} de {age} años: {treatment} tras fallar {tried}; {outcome}.",
    ),
    "search": (
        "{Exam} showed {finding} in a {person} of {age} years with {complaint}. It was {diagnosis}, not {suspected}. "
        "{He} {outcome}.",
        "{Exam} mostró {finding} en {un} {person} de {age} años con {complaint}. Era {diagnosis}, no {suspected}. "
        "{El} paciente {outcome}.",
    ),
    "letter": (
        "{Person}, {age}, {complaint} and {second}: {diagnosis}. {Treatment}; {outcome}.",
        "{Person}, {age} años, {complaint} y {second}: {diagnosis}. {Treatment}; {outcome}.",
    ),
}
FINDINGS = (
    "- Diagnosis: {diagnosis}\n- Test: {exam} ({finding})\n- Treatment: {treatment}\n- Outcome: {outcome}",
    "- Diagnóstico: {diagnosis}\n- Prueba: {exam} ({finding})\n- Tratamiento: {treatment}\n- Evolución: {outcome}",
)
PERSONS = (  # English, Spanish, pronoun, articles, ages
    ("man", "hombre", "He", "un", "el", (18, 89)),
    ("woman", "mujer", "She", "una", "la", (18, 89)),
    ("boy", "niño", "He", "un", "el", (3, 17)),
    ("girl", "niña", "She", "una", "la", (3, 17)),
)
