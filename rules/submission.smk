"""Submission to a challenge; not a part of `all`: snakemake results/<study>_<method>/submission

Comes in: documents whose summaries are held back (`studies.<study>.submission.documents`), the models of an experiment.
Goes out: results/<study>_<method>/submission/<team>_multiclinsum_<language>_run_<n>/<document>_sum.txt.
Steps: challenge (documents to records), predict_challenge or extract_challenge, submission.
"""


rule challenge:
    """Take the documents of a challenge, and write them as test records with their prompts."""
    input:
        tokenizer=PLAN.crop_tokenizer,
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
        script=PLAN.script("challenge"),
        task=PLAN.task_of,
        files=PLAN.challenge_files,
        local=PLAN.challenge_digest,
        data=PLAN.challenge_cropping,
        tokenizer=PLAN.tokenizer_option,
        splitter=PLAN.splitter,
        prompt=PLAN.challenge_prompt,
        state=lambda wildcards, output: f"{output}.state",
        code=PLAN.task_code("challenge", *FETCHING),
    shell:
        "python {params.script} --task {params.task} --files {params.files:q} --data {params.data:q} "
        "{params.tokenizer} --splitter {params.splitter} --prompt {params.prompt} "
        "--state {params.state} --output {output} > {log} 2>&1"


rule predict_challenge:
    """Summarise the documents of a challenge with every run of an experiment, in one process."""
    input:
        records="<results>/data/{study}/challenge.jsonl",
        base=PLAN.base_directory,
        models=PLAN.run_models,
    output:
        directory("<results>/{study}_{method}/challenge"),
    log:
        "<logs>/predict_challenge/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/predict_challenge/{study}_{method}.jsonl"
    wildcard_constraints:
        method="|".join(PLAN.with_model),
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=4000,
        runtime="12h",
        gpu=PLAN.gpu,
    params:
        script=PLAN.script("predict"),
        settings=PLAN.predictions_settings,
        seeds=PLAN.run_seeds,
        models=PLAN.models_option,
        state=lambda wildcards, output: f"{output}.state",
    shell:
        "python {params.script} --settings {params.settings:q} --records {input.records} --base {input.base} "
        "--seeds {params.seeds} {params.models} --state {params.state} --output {output} "
        "--threads {threads} > {log} 2>&1"


rule extract_challenge:
    """Take sentences of a challenge's documents as summaries; how many is chosen on the task's validation rows."""
    input:
        records=PLAN.cropped,
        documents="<results>/data/{study}/challenge.jsonl",
    output:
        directory("<results>/{study}_{method}/challenge"),
    log:
        "<logs>/extract_challenge/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/extract_challenge/{study}_{method}.jsonl"
    wildcard_constraints:
        method="|".join(EXTRACTIVE),
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        script=PLAN.script("extractive_summaries"),
        ranking=PLAN.ranking,
        seed=PLAN.run_seeds,
        splitter=PLAN.splitter,
        code=code_digest("extractive_summaries"),
    shell:
        "python {params.script} --ranking {params.ranking} --records {input.records} --documents {input.documents} "
        "--seed {params.seed} --splitter {params.splitter} --output {output} > {log} 2>&1"


rule submission:
    """Write an experiment's summaries in the layout of the challenge."""
    input:
        records=PLAN.submitted_records,
        predictions=PLAN.submitted_predictions,
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
        script=PLAN.script("submission"),
        team=PLAN.team,
        code=code_digest("submission"),
    shell:
        "python {params.script} --predictions {input.predictions} --records {input.records} --team {params.team} "
        "--output {output} > {log} 2>&1"
