"""Words of the clinical case reports, English and Spanish side by side."""

# English, Spanish noun phrase as in "consultó por <...>"
COMPLAINTS = (
    ("chest pain", "dolor torácico"), ("fever", "fiebre"), ("dry cough", "tos seca"), ("headache", "cefalea"),
    ("abdominal pain", "dolor abdominal"), ("weight loss", "pérdida de peso"), ("back pain", "dolor lumbar"),
    ("shortness of breath", "falta de aire"), ("joint pain", "dolor articular"), ("nausea", "náuseas"),
    ("dizziness", "mareo"), ("skin rash", "erupción cutánea"), ("leg swelling", "edema en las piernas"),
    ("fatigue", "cansancio"), ("blurred vision", "visión borrosa"), ("palpitations", "palpitaciones"),
)  # fmt: skip
HISTORIES = (
    ("hypertension", "hipertensión"), ("type 2 diabetes", "diabetes tipo 2"), ("asthma", "asma"),
    ("smoking", "tabaquismo"), ("kidney stones", "cálculos renales"), ("migraine", "migraña"), ("gout", "gota"),
    ("anemia", "anemia"), ("obesity", "obesidad"), ("no relevant disease", "ninguna enfermedad relevante"),
)  # fmt: skip
DIAGNOSES = (
    ("pneumonia", "neumonía"), ("heart failure", "insuficiencia cardíaca"), ("appendicitis", "apendicitis"),
    ("tuberculosis", "tuberculosis"), ("lymphoma", "linfoma"), ("pancreatitis", "pancreatitis"),
    ("meningitis", "meningitis"), ("hepatitis", "hepatitis"), ("lupus", "lupus"), ("sepsis", "sepsis"),
    ("pericarditis", "pericarditis"), ("thyroiditis", "tiroiditis"), ("arthritis", "artritis"),
    ("endocarditis", "endocarditis"), ("pulmonary embolism", "embolia pulmonar"), ("renal abscess", "absceso renal"),
)  # fmt: skip
EXAMS = (
    ("chest X-ray", "radiografía de tórax"), ("CT scan", "tomografía"), ("ultrasound", "ecografía"),
    ("MRI", "resonancia"), ("ECG", "electrocardiograma"), ("biopsy", "biopsia"),
    ("blood culture", "hemocultivo"), ("endoscopy", "endoscopia"),
)  # fmt: skip
FINDINGS = (
    ("a nodule", "un nódulo"), ("an effusion", "un derrame"), ("a mass", "una masa"), ("inflammation", "inflamación"),
    ("a small lesion", "una lesión pequeña"), ("a thrombus", "un trombo"), ("fluid", "líquido"),
    ("bacteria", "bacterias"),
)  # fmt: skip
TREATMENTS = (
    ("antibiotics", "antibióticos"), ("corticosteroids", "corticoides"), ("surgery", "cirugía"),
    ("diuretics", "diuréticos"), ("heparin", "heparina"), ("chemotherapy", "quimioterapia"),
    ("insulin", "insulina"), ("colchicine", "colchicina"),
    ("drainage", "drenaje"), ("methotrexate", "metotrexato"),
)  # fmt: skip
OUTCOMES = (
    ("recovered fully", "se recuperó por completo"), ("improved", "mejoró"), ("died", "falleció"),
    ("was discharged", "recibió el alta"), ("relapsed", "recayó"), ("remains stable", "sigue estable"),
)  # fmt: skip
LABS = (
    ("hemoglobin", "hemoglobina"),
    ("creatinine", "creatinina"),
    ("glucose", "glucosa"),
    ("platelets", "plaquetas"),
    ("CRP", "PCR"),
)
FILLERS = (
    ("The patient lives with the family.", "El paciente vive con su familia."),
    ("There was no allergy.", "No refería alergias."),
    ("Vital signs were normal on arrival.", "Los signos vitales eran normales al ingreso."),
    ("The physical examination was otherwise normal.", "El resto de la exploración fue normal."),
    ("No recent travel was reported.", "No refería viajes recientes."),
    ("The case was discussed by the team.", "El caso se discutió en equipo."),
)  # fmt: skip
UNITS = (("days", "días"), ("weeks", "semanas"), ("months", "meses"))
PERSONS = (("man", "hombre", "He", "varón"), ("woman", "mujer", "She", "mujer"))
