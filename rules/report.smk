"""The report.

Comes in: eval.json, scores and predictions of every experiment, and the records that they answer; fidelity.json of
studies with a cache of distributions; sizes of models of those with compressed students.
Goes out: results/report/: index.html, summary.{csv,md,tex}, comparisons.csv, figures/overview.svg,
figures/<study>/*.svg; results/config.yaml.
Not a part of `all`: learning_curve, which trains every method of a study on shares of its rows as well.
"""


rule resolved_config:
    """Write the merged and checked configuration of this run."""
    output:
        "<results>/config.yaml",
    log:
        "<logs>/resolved_config.log",
    benchmark:
        "<logs>/benchmarks/resolved_config.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="5m",
    params:
        script=script("resolved_config"),
        config=PLAN.resolved,
        code=code_digest("resolved_config"),
    shell:
        "python {params.script:q} --config {params.config:q} --output {output:q} > {log:q} 2>&1"


rule report:
    """Compare the methods of each study, in tables, figures and one page."""
    input:
        evaluations=PLAN.of_experiments("eval.json"),
        scores=PLAN.of_experiments("scores.jsonl"),
        predictions=PLAN.of_experiments("predictions"),
        records=PLAN.asked_records,
        curves=PLAN.of_curves("eval.json"),
        curve_predictions=PLAN.of_curves("predictions"),
        fidelity=PLAN.fidelity_files,
        sizes=PLAN.sizes_files,
        config="<results>/config.yaml",
    output:
        page=report(
            "<results>/report/index.html",
            category="Report",
            labels={"content": "the whole report"},
            caption="../resources/captions/report.rst",
        ),
        summary=report(
            multiext("<results>/report/summary", ".csv", ".md", ".tex"),
            category="Tables",
            labels={"content": "metrics of every method"},
            caption="../resources/captions/summary.rst",
        ),
        comparisons=report(
            "<results>/report/comparisons.csv",
            category="Tables",
            labels={"content": "paired comparisons"},
            caption="../resources/captions/comparisons.rst",
        ),
        overview=report(
            "<results>/report/figures/overview.svg",
            category="Figures",
            labels={"study": "all", "figure": "overview"},
            caption="../resources/captions/figures.rst",
        ),
        figures=[
            report(
                directory(f"<results>/report/figures/{study}"),
                patterns=["{figure}.svg"],
                category="Figures",
                labels={"study": study, "figure": "{figure}"},
                caption="../resources/captions/figures.rst",
            )
            for study in PLAN.config.run
        ],
    log:
        "<logs>/report.log",
    benchmark:
        "<logs>/benchmarks/report.jsonl"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("report"),
        directory=folder("page"),
        methods=PLAN.method_entries,
        titles=PLAN.titles,
        curves=PLAN.curve_points,
        worth=PLAN.worth_curves,
        code=PLAN.report_code("report"),
    shell:
        "python {params.script:q} --evals {input.evaluations:q} --scores {input.scores:q} "
        "--predictions {input.predictions:q} --records {input.records:q} --titles {params.titles:q} "
        "--curves {params.curves:q} --worth {params.worth:q} --curve-evals {input.curves:q} --curve-predictions {input.curve_predictions:q} "
        "--fidelity {input.fidelity:q} --sizes {input.sizes:q} --config {input.config:q} --output-dir {params.directory:q} > {log:q} 2>&1"


rule learning_curve:
    """Draw what each method of a study reaches with shares of its training rows; not a part of `all`."""
    input:
        evaluations=PLAN.of_learning_curve("eval.json"),
        scores=PLAN.of_learning_curve("scores.jsonl"),
        predictions=PLAN.of_learning_curve("predictions"),
    output:
        figure="<results>/report/figures/learning_curve_{study}.svg",
        table="<results>/report/learning_curve_{study}.csv",
    log:
        "<logs>/learning_curve/{study}.log",
    benchmark:
        "<logs>/benchmarks/learning_curve/{study}.jsonl"
    wildcard_constraints:
        study="|".join(PLAN.own_studies),
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("learning_curve"),
        methods=PLAN.method_entries,
        shares=PLAN.shares,
        code=PLAN.report_code("learning_curve"),
    shell:
        "python {params.script:q} --study {wildcards.study:q} --shares {params.shares:q} "
        "--evals {input.evaluations:q} --scores {input.scores:q} --predictions {input.predictions:q} "
        "--figure {output.figure:q} --table {output.table:q} > {log:q} 2>&1"
