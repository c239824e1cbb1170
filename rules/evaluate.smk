"""Metrics.

Comes in: the predictions of all runs of an experiment.
Steps: bertscore (needs a model, and is a job of its own, where a study names an encoder), evaluate.
Goes out: results/<study>_<method>/eval.json (metrics with intervals, cost, provenance), scores.jsonl (of every answer)
and README.md, a model card.
"""


include: "functions/evaluate.smk"


rule bertscore:
    """Compare answers and references by the vectors of an encoder."""
    input:
        predictions="<results>/{study}_{method}/predictions",
        encoder=bertscore_encoder,
    output:
        "<results>/{study}_{method}/bertscore.json",
    log:
        "<logs>/bertscore/{study}_{method}.log",
    benchmark:
        "<logs>/benchmarks/bertscore/{study}_{method}.jsonl"
    conda:
        "../envs/train.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime="4h",
        gpu=GPU,
    params:
        script=script("bertscore"),
        options=bertscore_options,
        code=code_digest("bertscore"),
    shell:
        "python {params.script} --predictions {input.predictions} --encoder {input.encoder} {params.options} "
        "--output {output} --threads {threads} > {log} 2>&1"


rule evaluate:
    """Measure the runs of an experiment; no model is loaded."""
    input:
        predictions="<results>/{study}_{method}/predictions",
        models=run_models,
        costs=run_costs,
        teacher_costs=teacher_costs,
        usage=annotation_usage,
        annotator_cost=annotator_cost,
        base=evaluated_base,
        data=evaluated_data,
        bertscore=bertscore_file,
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
        optional=lambda wildcards, input: " ".join(
            f"--{name.replace('_', '-')} {path}"
            for name in ("usage", "annotator_cost", "base", "bertscore")
            if (path := input.get(name))
        ),
        code=code_digest("evaluate"),
    shell:
        "python {params.script} --experiment {params.experiment:q} --predictions {input.predictions} "
        "{params.models} {params.teacher} {params.optional} --data {input.data} --output {output.evaluation} "
        "--scores {output.scores} --card {output.card} > {log} 2>&1"
