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
        script=script("challenge"),
        task=PLAN.task_of,
        files=PLAN.challenge_files,
        identity=PLAN.challenge_identity,
        data=PLAN.cropping,
        tokenizer=file_of("tokenizer", "tokenizer.json"),
        splitter=PLAN.splitter,
        prompt=PLAN.task_prompt,
        state=beside(),
        code=PLAN.task_code("challenge", *FETCHING),
    shell:
        "python {params.script:q} --task {params.task:q} --files {params.files:q} --data {params.data:q} "
        "{params.tokenizer:q} --splitter {params.splitter:q} --prompt {params.prompt:q} "
        "--state {params.state:q} --output {output:q} > {log:q} 2>&1"


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
        script=script("predict"),
        settings=of_job(PLAN.prediction_settings),
        seeds=PLAN.run_seeds,
        models=options("models"),
        state=beside(),
    shell:
        "python {params.script:q} --settings {params.settings:q} --records {input.records:q} --base {input.base:q} "
        "--seeds {params.seeds:q} {params.models:q} --state {params.state:q} --output {output:q} "
        "--threads {threads:q} > {log:q} 2>&1"


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
        script=script("extractive_summaries"),
        ranking=PLAN.ranking,
        seed=PLAN.run_seeds,
        splitter=PLAN.splitter,
        code=code_digest("extractive_summaries"),
    shell:
        "python {params.script:q} --ranking {params.ranking:q} --records {input.records:q} --documents {input.documents:q} "
        "--seed {params.seed:q} --splitter {params.splitter:q} --output {output:q} > {log:q} 2>&1"


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
        script=script("submission"),
        team=PLAN.team,
        code=code_digest("submission"),
    shell:
        "python {params.script:q} --predictions {input.predictions:q} --records {input.records:q} --team {params.team:q} "
        "--output {output:q} > {log:q} 2>&1"
