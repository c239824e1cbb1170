"""Predictions.

Comes in: cropped records, and the models of all runs of an experiment.
Goes out: results/<study>_<method>/predictions/seed_<n>/{predictions.jsonl,calibration.json}, hardware.json, cost.json.
"""


rule predict:
    """Predict validation and test rows with every run of an experiment, in one process."""
    input:
        records=lambda wildcards: f"<results>/data/{task_of(wildcards)}/cropped.jsonl",
        base=base_model,
        models=run_models,
    output:
        directory("<results>/{study}_{method}/predictions"),
    log:
        "<logs>/predict/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/predict/{study}_{method}.jsonl"
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
        state=lambda wildcards, output: f"{output}.state",
    shell:
        "python {params.script} --settings {params.settings:q} --records {input.records} --base {input.base} "
        "--seeds {params.seeds} {params.models} --state {params.state} --output {output} "
        "--threads {threads} > {log} 2>&1"
