"""Students.

Comes in: the student's base model, and the training file of a method.
Goes out: results/<study>_<method>/seed_<n>/model/ (adapter or weights, history, profile), cost.json and
memory.jsonl.
"""


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


rule train:
    """Train one student by one method with one seed; resumable, see docs/training.md."""
    input:
        data=training_data,
        validation=validation_data,
        base=base_model,
        start=start,
        teacher=online_teacher,
        distributions=cached_teacher,
    output:
        model=directory("<results>/{study}_{method}/seed_{seed}/model"),
        cost="<results>/{study}_{method}/seed_{seed}/cost.json",
        memory="<results>/{study}_{method}/seed_{seed}/memory.jsonl",
    log:
        "<logs>/train/{study}_{method}_{seed}.log",
    benchmark:
        "<logs>/benchmarks/train/{study}_{method}_{seed}.jsonl"
    wildcard_constraints:
        method="|".join(name for name, method in METHODS.items() if method.trains),
    conda:
        "../envs/train.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime="8h",
        gpu=GPU,
    params:
        script=script("train"),
        settings=training_settings,
        init=lambda wildcards, input: f"--init {input.start}" if input.start else "",
        teacher=training_teacher,
        state=lambda wildcards, output: f"{output.model}.state",
        code=code_digest("train"),
    shell:
        "python {params.script} --settings {params.settings:q} --data {input.data} "
        "--validation {input.validation} --base {input.base} {params.init} {params.teacher} --seed {wildcards.seed} "
        "--threads {threads} --state {params.state} --output {output.model} --cost {output.cost} "
        "--memory {output.memory} > {log} 2>&1"
