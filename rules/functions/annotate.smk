"""Inputs and parameters of annotate.smk."""


def annotation_settings(wildcards):
    """JSON of the settings of an annotation job."""
    return canonical_json(experiments.annotation_settings(CONFIG, wildcards.task))


def annotator_prompt(wildcards):
    """JSON of what decides the training rows of a local annotator."""
    return CONFIG.tasks[wildcards.task].annotation.model_dump_json(include={"provider", "model", "steps"})


def annotator_base(wildcards):
    """Base model of a task's local annotator."""
    return f"<results>/models/{CONFIG.tasks[wildcards.task].annotation.model}"


def annotator_settings(wildcards):
    """JSON of the settings of the training job of a local annotator."""
    return canonical_json(experiments.annotator_settings(CONFIG, wildcards.task))


def annotator(wildcards):
    """Model and base model of a task's local annotator; nothing for other providers."""
    if CONFIG.tasks[wildcards.task].annotation.provider != "local":
        return []
    return [f"<results>/annotators/{wildcards.task}/model", annotator_base(wildcards)]


def annotator_options(wildcards, input):
    """Options that name the local annotator."""
    if not input.local:
        return ""
    model, base = input.local
    return f"--model {model} --base {base} --device {CONFIG.hardware.device}"


def synthetic_option(wildcards):
    """Option that says that a task's documents were generated."""
    return "--synthetic" if CONFIG.tasks[wildcards.task].source == "synthetic" else ""


def annotator_gpu(wildcards):
    """GPUs of an annotation job: those that serve a local annotator."""
    return GPU if CONFIG.tasks[wildcards.task].annotation.provider == "local" else 0
