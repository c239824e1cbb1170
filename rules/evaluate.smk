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
        script=PLAN.script("bertscore"),
        options=PLAN.bertscore_options,
        code=code_digest("bertscore"),
    shell:
        "python {params.script} --predictions {input.predictions} --encoder {input.encoder} {params.options} "
        "--output {output} --threads {threads} > {log} 2>&1"


rule evaluate:
    """Measure the runs of an experiment; no model is loaded."""
    input:
        predictions="<results>/{study}_{method}/predictions",
        models=PLAN.run_models,
        costs=PLAN.run_costs,
        teacher_costs=PLAN.teacher_costs,
        usage=PLAN.annotation_usage,
        annotator_cost=PLAN.annotator_cost,
        base=PLAN.evaluated_base,
        data=PLAN.evaluated_data,
        bertscore=PLAN.bertscores,
        long_answers=PLAN.long_answers,
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
        script=PLAN.script("evaluate"),
        experiment=PLAN.described,
        optional=PLAN.evaluation_options,
        code=PLAN.evaluation_code,
    shell:
        "python {params.script} --experiment {params.experiment:q} --predictions {input.predictions} "
        "{params.optional} --data {input.data} --output {output.evaluation} "
        "--scores {output.scores} --card {output.card} > {log} 2>&1"
