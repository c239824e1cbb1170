"""Data.

Comes in: a task's raw files, from a generator, local files or addresses.
Goes out: results/data/<task>/cropped.jsonl (all splits) and results/data/<study>/{teacher,sft,kd,dpo,stepwise}.jsonl;
where a study asks for prompts without gold outputs, results/data/<study>/unlabelled/ and taught.jsonl.
Steps: download, records (bad rows out, splits), prompts (cropped inputs), unlabelled, training_file (rows of an
objective).
"""


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
        data=PLAN.raw_data,
        identity=PLAN.raw_identity,
        code=PLAN.raw_code,
    shell:
        "python {params.script:q} --task {wildcards.task:q} --data {params.data:q} --output {output:q} > {log:q} 2>&1"


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
        declared=PLAN.declaration,
        data=PLAN.division,
        code=PLAN.task_code("records"),
    shell:
        "python {params.script:q} --task {wildcards.task:q} {params.declared:q} --data {params.data:q} --raw {input:q} "
        "--records {output.records:q} --manifest {output.manifest:q} > {log:q} 2>&1"


rule prompts:
    """Crop inputs and write prompts; test references are never cropped."""
    input:
        records="<results>/data/{task}/records.jsonl",
        tokenizer=PLAN.crop_tokenizer,
    output:
        "<results>/data/{task}/cropped.jsonl",
    log:
        "<logs>/prompts/{task}.log",
    benchmark:
        "<logs>/benchmarks/prompts/{task}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("prompts"),
        declared=PLAN.declaration,
        data=PLAN.cropping,
        tokenizer=file_of("tokenizer", "tokenizer.json"),
        splitter=PLAN.splitter,
        prompt=PLAN.task_prompt,
        code=PLAN.task_code("prompts"),
    shell:
        "python {params.script:q} --task {wildcards.task:q} {params.declared:q} --data {params.data:q} "
        "{params.tokenizer:q} --splitter {params.splitter:q} --prompt {params.prompt:q} --records {input.records:q} "
        "--output {output:q} > {log:q} 2>&1"


rule unlabelled:
    """Take prompts without gold outputs: of training rows that no student has the output of, or of a file."""
    input:
        records=PLAN.cropped,
        labelled=PLAN.unlabelled_labels,
        tokenizer=PLAN.crop_tokenizer,
    output:
        records="<results>/data/{study}/unlabelled/records.jsonl",
        prompts="<results>/data/{study}/unlabelled/prompts.jsonl",
    log:
        "<logs>/unlabelled/{study}.log",
    benchmark:
        "<logs>/benchmarks/unlabelled/{study}.jsonl"
    wildcard_constraints:
        study="|".join(PLAN.own_studies),
    priority: BEFORE_STUDENTS
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("unlabelled"),
        settings=of_job(PLAN.unlabelled_settings),
        identity=PLAN.unlabelled_identity,
        labelled=options("labelled"),
        tokenizer=file_of("tokenizer", "tokenizer.json"),
        code=PLAN.task_code("unlabelled"),
    shell:
        "python {params.script:q} --settings {params.settings:q} --records {input.records:q} {params.labelled:q} "
        "{params.tokenizer:q} --output {output.records:q} --prompts {output.prompts:q} > {log:q} 2>&1"


rule training_file:
    """Write the rows that an objective is trained on, balanced over classes where there are some, and validation rows."""
    input:
        records=PLAN.cropped,
        outputs=PLAN.file_outputs,
        unlabelled=PLAN.file_unlabelled,
        unlabelled_outputs=PLAN.file_unlabelled_outputs,
        rationales=PLAN.file_rationales,
        tokenizer=PLAN.file_tokenizer,
        learner=PLAN.learner,
    output:
        train="<results>/data/{study}/{file}.jsonl",
        validation="<results>/data/{study}/validation/{file}.jsonl",
        long_answers="<results>/data/{study}/long_answers/{file}.json",
    log:
        "<logs>/training_file/{study}_{file}.log",
    benchmark:
        "<logs>/benchmarks/training_file/{study}_{file}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("training_file"),
        settings=of_job(PLAN.training_file_settings),
        optional=options("outputs", "unlabelled", "unlabelled_outputs", "rationales"),
        tokenizer=file_of("tokenizer", "tokenizer.json"),
        code=PLAN.file_code,
    shell:
        "python {params.script:q} --settings {params.settings:q} --records {input.records:q} {params.optional:q} "
        "{params.tokenizer:q} --learner {input.learner:q} --train {output.train:q} "
        "--validation {output.validation:q} --long-answers {output.long_answers:q} > {log:q} 2>&1"
