"""Submission to a challenge; not a part of `all`: snakemake results/<study>_<method>/submission

Comes in: documents whose summaries are held back (`studies.<study>.submission.documents`), the models of an experiment.
Goes out: results/<study>_<method>/submission/<team>_multiclinsum_<language>_run_<n>/<document>_sum.txt.
Steps: challenge (documents to records), predict_challenge or extract_challenge, submission.
"""


include: "functions/submission.smk"


rule challenge:
    """Take the documents of a challenge, and write them as test records with their prompts."""
    input:
        tokenizer=crop_tokenizer,
    output:
        "<results>/data/{study}/challenge.jsonl",
    log:
        "<logs>/challenge/{study}.log",
    benchmark:
        "<logs>/benchmarks/challenge/{study}.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="2h",
    params:
        script=script("challenge"),
        task=task_of,
        files=challenge_files,
        local=challenge_digest,
        options=lambda wildcards, input: crop_documents_options(CONFIG.tasks[task_of(wildcards)], input),
        state=lambda wildcards, output: f"{output}.state",
        code=lambda wildcards: code_digest("challenge", f"pipestill.tasks.{task_of(wildcards)}"),
    shell:
        "python {params.script} --task {params.task} --files {params.files:q} {params.options} "
        "--state {params.state} --output {output} > {log} 2>&1"


rule predict_challenge:
    """Summarise the documents of a challenge with every run of an experiment, in one process."""
    input:
        records="<results>/data/{study}/challenge.jsonl",
        base=base_model,
        models=run_models,
    output:
        directory("<results>/{study}_{method}/challenge"),
    log:
        "<logs>/predict_challenge/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/predict_challenge/{study}_{method}.jsonl"
    wildcard_constraints:
        method="|".join(MODELS),
    conda:
        "../envs/train.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime="12h",
        gpu=GPU,
    params:
        script=script("predict"),
        settings=prediction_settings,
        seeds=seeds,
        models=lambda wildcards, input: f"--models {input.models}" if input.models else "",
        state=lambda wildcards, output: f"{output}.state",
    shell:
        "python {params.script} --settings {params.settings:q} --records {input.records} --base {input.base} "
        "--seeds {params.seeds} {params.models} --state {params.state} --output {output} "
        "--threads {threads} > {log} 2>&1"


rule extract_challenge:
    """Take sentences of a challenge's documents as summaries; how many is chosen on the task's validation rows."""
    input:
        records=lambda wildcards: f"<results>/data/{task_of(wildcards)}/cropped.jsonl",
        documents="<results>/data/{study}/challenge.jsonl",
    output:
        directory("<results>/{study}_{method}/challenge"),
    log:
        "<logs>/extract_challenge/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/extract_challenge/{study}_{method}.jsonl"
    wildcard_constraints:
        method="|".join(EXTRACTS),
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        script=script("extract"),
        seed=seeds,
        splitter=splitter,
        code=code_digest("extract"),
    shell:
        "python {params.script} --method {wildcards.method} --records {input.records} --documents {input.documents} "
        "--seed {params.seed} --splitter {params.splitter} --output {output} > {log} 2>&1"


rule submission:
    """Write an experiment's summaries in the layout of the challenge."""
    input:
        records=submitted_records,
        predictions=submitted_predictions,
    output:
        directory("<results>/{study}_{method}/submission"),
    log:
        "<logs>/submission/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/submission/{study}_{method}.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="10m",
    params:
        script=script("submission"),
        team=lambda wildcards: CONFIG.studies[wildcards.study].submission.team,
        code=code_digest("submission"),
    shell:
        "python {params.script} --predictions {input.predictions} --records {input.records} --team {params.team} "
        "--output {output} > {log} 2>&1"
