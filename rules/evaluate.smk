"""Metrics.

Comes in: the predictions of all runs of an experiment.
Goes out: results/<study>_<method>/eval.json (metrics with intervals, cost, provenance), scores.jsonl (of every answer)
and README.md, a model card.
"""


rule evaluate:
    """Measure the runs of an experiment; no model is loaded."""
    input:
        predictions="<results>/{study}_{method}/predictions",
        models=run_models,
        costs=run_costs,
        teacher_costs=teacher_costs,
        base=base_model,
        data=evaluated_data,
    output:
        evaluation="<results>/{study}_{method}/eval.json",
        scores="<results>/{study}_{method}/scores.jsonl",
        card="<results>/{study}_{method}/README.md",
    log:
        "<logs>/evaluate/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/evaluate/{study}_{method}.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        script=script("evaluate"),
        experiment=experiment,
        models=lambda wildcards, input: f"--models {input.models} --costs {input.costs}" if input.models else "",
        teacher=lambda wildcards, input: f"--teacher-costs {input.teacher_costs}" if input.teacher_costs else "",
        code=code_digest("evaluate"),
    shell:
        "python {params.script} --experiment {params.experiment:q} --predictions {input.predictions} "
        "{params.models} {params.teacher} --base {input.base} --data {input.data} --output {output.evaluation} "
        "--scores {output.scores} --card {output.card} > {log} 2>&1"
