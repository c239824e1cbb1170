"""Predictions.

Comes in: cropped records, the models of all runs of an experiment and, where there are any, the distributions of its
teacher. `extract` needs no model: it takes sentences of the documents.
Goes out: results/<study>_<method>/predictions/ with seed_<n>/predictions.jsonl (and calibration.json of ranked labels,
agreement.json where there are distributions), job.json, hardware.json, versions.json, cost.json.
"""


include: "functions/predict.smk"


rule predict:
    """Predict with every run of an experiment, in one process; resumable."""
    input:
        records=lambda wildcards: f"<results>/data/{task_of(wildcards)}/cropped.jsonl",
        base=base_model,
        models=run_models,
        distributions=distributions,
        answers=agreement_data,
    output:
        directory("<results>/{study}_{method}/predictions"),
    log:
        "<logs>/predict/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/predict/{study}_{method}.jsonl"
    wildcard_constraints:
        method="|".join(MODELS),
    conda:
        "../envs/train.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime="4h",
        gpu=GPU,
    params:
        script=script("predict"),
        settings=prediction_settings,
        seeds=seeds,
        models=lambda wildcards, input: f"--models {input.models}" if input.models else "",
        agreement=lambda wildcards, input: (
            f"--distributions {input.distributions[0]} --agreement-data {input.answers}" if input.answers else ""
        ),
        state=lambda wildcards, output: f"{output}.state",
    shell:
        "python {params.script} --settings {params.settings:q} --records {input.records} --base {input.base} "
        "--seeds {params.seeds} {params.models} {params.agreement} --state {params.state} --output {output} "
        "--threads {threads} > {log} 2>&1"


rule extract:
    """Take sentences of the documents as summaries; how many is chosen on validation rows."""
    input:
        lambda wildcards: f"<results>/data/{task_of(wildcards)}/cropped.jsonl",
    output:
        directory("<results>/{study}_{method}/predictions"),
    log:
        "<logs>/extract/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/extract/{study}_{method}.jsonl"
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
        "python {params.script} --method {wildcards.method} --records {input} --seed {params.seed} "
        "--splitter {params.splitter} --output {output} > {log} 2>&1"
