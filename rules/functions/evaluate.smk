"""Inputs and parameters of evaluate.smk."""


def bertscore_encoder(wildcards):
    """Directory of the encoder that BERTScore compares texts by."""
    return f"<results>/models/{CONFIG.studies[wildcards.study].bertscore.encoder}"


def bertscore_options(wildcards):
    """Options that say how BERTScore is computed."""
    settings, task = CONFIG.studies[wildcards.study].bertscore, task_of(wildcards)
    baseline = f" --baseline {shlex.quote(settings.baseline)}" if settings.baseline else ""
    names = " ".join(CONFIG.tasks[task].test_sets_of(TASKS[task]))
    device = experiments.hardware(CONFIG, wildcards.study)["device"]
    return f"--layer {settings.layer} --test-sets {names}{baseline} --device {device}"


def bertscore_file(wildcards):
    """BERTScores of an experiment, where its study names an encoder."""
    encoder = CONFIG.studies[wildcards.study].bertscore.encoder
    return f"<results>/{wildcards.study}_{wildcards.method}/bertscore.json" if encoder else []


def evaluated_base(wildcards):
    """Directory of the base model of an experiment that has a model."""
    return base_model(wildcards) if wildcards.method in MODELS else []


def evaluated_data(wildcards):
    """Data files that an experiment's numbers come from."""
    files = [f"<results>/data/{task_of(wildcards)}/cropped.jsonl"]
    trained_on = experiments.entry_of(CONFIG, wildcards.study, wildcards.method).training_file
    return [*files, f"<results>/data/{wildcards.study}/{trained_on}.jsonl"] if trained_on else files


def run_costs(wildcards):
    """Cost of the training jobs of the runs of an experiment."""
    if not experiments.entry_of(CONFIG, wildcards.study, wildcards.method).trains:
        return []
    return [str(Path(model).parent / "cost.json") for model in run_models(wildcards)]


def teacher_costs(wildcards):
    """Cost of the jobs in which the teacher made what the students of a method learn from."""
    directory, method = teacher_directory(wildcards), wildcards.method
    entry = experiments.entry_of(CONFIG, wildcards.study, method)
    outputs = entry.trains and experiments.asks_teacher(CONFIG, wildcards.study, entry.training_file)
    if not outputs and entry.objective != "divergence":
        return []
    trained = [f"{directory}/cost.json"] if teacher_model(wildcards) else []
    stored = shards(wildcards) if cached_teacher(wildcards) else []
    return [
        *trained,
        *([f"{directory}/outputs_cost.json"] if outputs else []),
        *[shard.replace(".safetensors", "_cost.json") for shard in stored],
    ]


def annotation_usage(wildcards):
    """What the annotation took that an experiment learnt from, if it did."""
    annotated = experiments.entry_of(CONFIG, wildcards.study, wildcards.method).objective == "stepwise"
    return f"<results>/data/{task_of(wildcards)}/usage.json" if annotated else []


def annotator_cost(wildcards):
    """Cost of training the local annotator that an experiment learnt from, if it did."""
    local = annotation_usage(wildcards) and CONFIG.tasks[task_of(wildcards)].annotation.provider == "local"
    return f"<results>/annotators/{task_of(wildcards)}/cost.json" if local else []
