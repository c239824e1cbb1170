"""Data.

Comes in: a task's raw files, from a generator, local files or addresses.
Goes out: results/data/<task>/cropped.jsonl (all splits) and results/data/<study>/{teacher,sft,kd,dpo,stepwise}.jsonl.
Steps: download, records (bad rows out, splits), crop, balance (training files in the schema of a method).
"""


include: "functions/data.smk"


rule download:
    """Fetch, copy or generate a task's raw data."""
    output:
        directory("<results>/data/{task}/raw"),
    log:
        "<logs>/download/{task}.log",
    benchmark:
        "<logs>/benchmarks/download/{task}.jsonl"
    priority: BEFORE_STUDENTS
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
    priority: BEFORE_STUDENTS
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
    priority: BEFORE_STUDENTS
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
    priority: BEFORE_STUDENTS
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
