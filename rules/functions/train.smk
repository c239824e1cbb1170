"""Inputs and parameters of train.smk."""


def training_data(wildcards):
    """Training file of an experiment."""
    return f"<results>/data/{wildcards.study}/{method_of(wildcards.method).training_file}.jsonl"


def validation_data(wildcards):
    """Validation rows in the schema of the training file."""
    return f"<results>/data/{wildcards.study}/validation/{method_of(wildcards.method).training_file}.jsonl"


def start(wildcards):
    """Model directory that training starts from, where that is the SFT student."""
    if experiments.training(CONFIG, wildcards.study, wildcards.method).init == "sft":
        return f"<results>/{wildcards.study}_sft/seed_{wildcards.seed}/model"
    return []


def online_teacher(wildcards):
    """Base model and fine-tuned model of a teacher that runs beside the student; nothing for other methods."""
    if wildcards.method not in experiments.divergences(CONFIG, wildcards.study, "online"):
        return []
    return [base_model(wildcards, "teacher"), *([model] if (model := teacher_model(wildcards)) else [])]


def training_teacher(wildcards, input):
    """Options that name the teacher of a training job."""
    if input.distributions:
        return f"--distributions {input.distributions[0]}"
    names = ("--teacher-base", "--teacher")
    return " ".join(f"{name} {path}" for name, path in zip(names, input.teacher))
