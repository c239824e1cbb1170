"""Metrics.

Comes in: the predictions of all runs of an experiment.
Steps: bertscore (needs a model, and is a job of its own, where a study names an encoder), evaluate.
Goes out: results/<study>_<method>/eval.json (metrics with intervals, cost, provenance), scores.jsonl (of every answer)
and README.md, a model card.
"""


rule bertscore:
    """Compare answers and references by the vectors of an encoder."""
    input:
        predictions="<results>/{study}_{method}/predictions",
        encoder=PLAN.bertscore_encoder,
    output:
        "<results>/{study}_{method}/bertscore.json",
    log:
        "<logs>/bertscore/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/bertscore/{study}_{method}.jsonl"
    wildcard_constraints:
        study="|".join(PLAN.with_encoder) or "-",
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=4000,
        runtime="4h",
        gpu=PLAN.gpu,
    params:
        script=script("bertscore"),
        options=PLAN.bertscore_options,
        code=code_digest("bertscore"),
    shell:
        "python {params.script:q} --predictions {input.predictions:q} --encoder {input.encoder:q} {params.options:q} "
        "--output {output:q} --threads {threads:q} > {log:q} 2>&1"


rule evaluate:
    """Measure the runs of an experiment; no model is loaded."""
    input:
        predictions="<results>/{study}_{method}/predictions",
        models=PLAN.run_models,
        costs=PLAN.run_costs,
        parent_costs=PLAN.parent_costs,
        teacher_costs=PLAN.teacher_costs,
        usage=PLAN.annotation_usage,
        annotator_cost=PLAN.annotator_cost,
        base=PLAN.evaluated_base,
        data=PLAN.evaluated_data,
        bertscore=PLAN.bertscores,
        long_answers=PLAN.long_answers,
        context_accuracy=PLAN.context_accuracy,
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
        experiment=of_job(PLAN.evaluation_settings),
        optional=options(
            "models",
            "costs",
            "parent_costs",
            "teacher_costs",
            "usage",
            "annotator_cost",
            "base",
            "bertscore",
            "long_answers",
            "context_accuracy",
        ),
        code=PLAN.evaluation_code,
    shell:
        "python {params.script:q} --experiment {params.experiment:q} --predictions {input.predictions:q} "
        "{params.optional:q} --data {input.data:q} --output {output.evaluation:q} "
        "--scores {output.scores:q} --card {output.card:q} > {log:q} 2>&1"
