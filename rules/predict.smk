"""Predictions.

Comes in: cropped records, the models of all runs of an experiment and, where there are any, the distributions of its
teacher. `extractive_summaries` needs no model: it takes sentences of the documents.
Goes out: results/<study>_<method>/predictions/ with seed_<n>/predictions.jsonl, queries.json (and calibration.json of
ranked labels, agreement.json where there are distributions), job.json, hardware.json, versions.json, cost.json; of
studies with compressed students, results/sizes/<study>.json.
"""


rule predict:
    """Predict with every run of an experiment, in one process; resumable."""
    input:
        records=PLAN.cropped,
        base=PLAN.base_directory,
        models=PLAN.run_models,
        distributions=PLAN.stored_manifest,
        shards=PLAN.stored_shards,
        agreement_data=PLAN.agreement_data,
        demonstrations=PLAN.demonstrations,
    output:
        directory("<results>/{study}_{method}/predictions"),
    log:
        "<logs>/predict/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/predict/{study}_{method}.jsonl"
    wildcard_constraints:
        method="|".join(PLAN.with_model),
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=PLAN.asking_memory,
        runtime="4h",
        gpu=PLAN.asking_gpus,
    params:
        script=script("predict"),
        settings=of_job(PLAN.prediction_settings),
        seeds=PLAN.run_seeds,
        optional=options("models", "distributions", "agreement_data", "demonstrations"),
        state=beside(),
        devices=unrecorded(PLAN.asking_devices),
    shell:
        "python {params.script:q} --settings {params.settings:q} --records {input.records:q} --base {input.base:q} "
        "--seeds {params.seeds:q} {params.optional:q} --state {params.state:q} --output {output:q} "
        "--threads {threads:q} --devices {params.devices:q} > {log:q} 2>&1"


rule extractive_summaries:
    """Take sentences of the documents as summaries; how many is chosen on validation rows."""
    input:
        PLAN.cropped,
    output:
        directory("<results>/{study}_{method}/predictions"),
    log:
        "<logs>/extractive_summaries/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/extractive_summaries/{study}_{method}.jsonl"
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
        "python {params.script:q} --ranking {params.ranking:q} --records {input:q} --seed {params.seed:q} "
        "--splitter {params.splitter:q} --output {output:q} > {log:q} 2>&1"


rule model_sizes:
    """Measure bytes, weights, speed and memory of the models of a study, one after the other in one job."""
    input:
        models=PLAN.sized_models,
        bases=PLAN.sized_bases,
    output:
        "<results>/sizes/{study}.json",
    log:
        "<logs>/model_sizes/{study}.log",
    benchmark:
        "<logs>/benchmarks/model_sizes/{study}.jsonl"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        script=script("model_sizes"),
        rows=of_job(PLAN.sized),
        code=code_digest("model_sizes"),
    shell:
        "python {params.script:q} --study {wildcards.study:q} --rows {params.rows:q} --bases {input.bases:q} "
        "--models {input.models:q} --output {output:q} > {log:q} 2>&1"
