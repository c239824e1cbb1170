"""Data.

Comes in: a task's raw files, from a generator, local files or addresses.
Goes out: results/data/<task>/cropped.jsonl (all splits) and results/data/<study>/{teacher,sft,kd,dpo,stepwise}.jsonl.
Steps: download, records (bad rows out, splits), crop, balance (training files in the schema of a method).
"""


def data_source(wildcards):
    """JSON that says where a task's raw data come from, without the keys of other kinds of source."""
    task = CONFIG.tasks[wildcards.task]
    if task.source == "published":
        files = {name: file.model_dump(exclude_none=True) for name, file in task.files_of().items()}
        return canonical_json({"source": "files", "files": files})
    keys = {
        "synthetic": {"rows", "seed"},
        "file": {"path", "sha256"},
        "url": {"url", "sha256"},
        "files": {"files"},
    }[task.source]
    if not (TASKS[wildcards.task].ranks_labels or TASKS[wildcards.task].collection):
        keys |= {"test_sets", "test_rows"} if task.source == "synthetic" else {"test_sets"}
    return task.model_dump_json(include={"source", *keys})


def local_digest(wildcards):
    """Digest of each local data file of a task, so that an edited file is read again."""
    return local_digests(CONFIG.tasks[wildcards.task].local_files().values())


def download_code(wildcards):
    """Digest of the code of `download`; a task's own code makes its synthetic data alone."""
    synthetic = CONFIG.tasks[wildcards.task].source == "synthetic"
    return code_digest("download", *([f"pipestill.tasks.{wildcards.task}"] if synthetic else []))


def crop_options(wildcards, input):
    """Options that say how long inputs may be, and how prompts are made of them."""
    task = CONFIG.tasks[wildcards.task]
    if TASKS[wildcards.task].collection is None:
        return f"--max-chars {task.max_chars} --template {task.template}"
    return crop_documents_options(task, input)


def teacher_outputs(wildcards):
    """The teacher's outputs, for the training files that are made of them."""
    return (
        f"{teacher_directory(wildcards)}/outputs.jsonl"
        if experiments.asks_teacher(CONFIG, wildcards.study, wildcards.file)
        else []
    )


def rationales(wildcards):
    """What the annotation answered, for the training files that are made of it."""
    return f"<results>/data/{task_of(wildcards)}/rationales.jsonl" if asks_rationales(wildcards) else []


def rationale_tokenizer(wildcards):
    """Base model whose tokens are counted where rationales are cropped."""
    return crop_tokenizer(wildcards) if asks_rationales(wildcards) else []


def asks_rationales(wildcards):
    """Whether a training file is made of rationales."""
    return wildcards.file == "stepwise" and CONFIG.tasks[task_of(wildcards)].annotation is not None


def rationale_options(wildcards, input):
    """Options that say where rationales are, how many may be missing, and how long they may be."""
    if not input.rationales:
        return ""
    task = CONFIG.tasks[task_of(wildcards)]
    names = f"--rationales {input.rationales} --allow-missing {task.annotation.allow_missing}"
    return f"{names} {crop_documents_options(task, input)}"


def rows(wildcards):
    """Options that limit the rows of a training file, of each class in tasks that have classes."""
    cap = experiments.training_rows(CONFIG, wildcards.study, wildcards.file)
    share = experiments.training_share(CONFIG, wildcards.study, wildcards.file)
    options = [*([f"--rows {cap}"] if cap else []), *([f"--share {share}"] if share < 1 else [])]
    return " ".join(options)


rule download:
    """Fetch, copy or generate a task's raw data."""
    output:
        directory("<results>/data/{task}/raw"),
    log:
        "<logs>/download/{task}.log",
    benchmark:
        "<logs>/benchmarks/download/{task}.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        script=script("download"),
        source=data_source,
        local=local_digest,
        code=download_code,
    shell:
        "python {params.script} --task {wildcards.task} --source {params.source:q} " "--output {output} > {log} 2>&1"


rule records:
    """Turn raw rows into records with splits; unusable rows are listed in the manifest."""
    input:
        "<results>/data/{task}/raw",
    output:
        records="<results>/data/{task}/records.jsonl",
        manifest="<results>/data/{task}/manifest.json",
    log:
        "<logs>/records/{task}.log",
    benchmark:
        "<logs>/benchmarks/records/{task}.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("records"),
        splits=lambda wildcards: CONFIG.tasks[wildcards.task].splits.model_dump_json(),
        max_bad_share=lambda wildcards: CONFIG.tasks[wildcards.task].max_bad_share,
        code=lambda wildcards: code_digest("records", f"pipestill.tasks.{wildcards.task}"),
    shell:
        "python {params.script} --task {wildcards.task} --splits {params.splits:q} "
        "--max-bad-share {params.max_bad_share} --raw {input} --records {output.records} "
        "--manifest {output.manifest} > {log} 2>&1"


rule crop:
    """Crop inputs and write prompts; test references are never cropped."""
    input:
        records="<results>/data/{task}/records.jsonl",
        tokenizer=crop_tokenizer,
    output:
        "<results>/data/{task}/cropped.jsonl",
    log:
        "<logs>/crop/{task}.log",
    benchmark:
        "<logs>/benchmarks/crop/{task}.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("crop"),
        options=crop_options,
        code=lambda wildcards: code_digest("crop", f"pipestill.tasks.{wildcards.task}"),
    shell:
        "python {params.script} --task {wildcards.task} {params.options} --records {input.records} "
        "--output {output} > {log} 2>&1"


rule balance:
    """Write a training file, balanced over classes where there are some, and its validation rows."""
    input:
        records=lambda wildcards: f"<results>/data/{task_of(wildcards)}/cropped.jsonl",
        outputs=teacher_outputs,
        rationales=rationales,
        tokenizer=rationale_tokenizer,
    output:
        train="<results>/data/{study}/{file}.jsonl",
        validation="<results>/data/{study}/validation/{file}.jsonl",
    log:
        "<logs>/balance/{study}_{file}.log",
    benchmark:
        "<logs>/benchmarks/balance/{study}_{file}.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("balance"),
        task=task_of,
        outputs=lambda wildcards, input: f"--outputs {input.outputs}" if input.outputs else "",
        rationales=rationale_options,
        rows=rows,
        seed=lambda wildcards: CONFIG.tasks[task_of(wildcards)].splits.seed,
        code=lambda wildcards: code_digest("balance", f"pipestill.tasks.{task_of(wildcards)}"),
    shell:
        "python {params.script} --task {params.task} --format {wildcards.file} --records {input.records} "
        "{params.outputs} {params.rationales} {params.rows} --seed {params.seed} --train {output.train} "
        "--validation {output.validation} > {log} 2>&1"
