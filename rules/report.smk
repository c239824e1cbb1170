"""The report.

Comes in: eval.json, scores and predictions of every experiment; fidelity.json of studies with a cache of distributions.
Goes out: results/report/: index.html, summary.{csv,md,tex}, comparisons.csv, figures/*.svg; results/config.yaml.
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
        config=lambda wildcards: CONFIG.model_dump_json(),  # a function, since its braces are no wildcards
        code=code_digest("resolved_config"),
    shell:
        "python {params.script} --config {params.config:q} --output {output} > {log} 2>&1"


rule report:
    """Compare the methods of each study, in tables, figures and one page."""
    input:
        evaluations=[f"<results>/{study}_{method}/eval.json" for study, method in EXPERIMENTS],
        scores=[f"<results>/{study}_{method}/scores.jsonl" for study, method in EXPERIMENTS],
        predictions=[f"<results>/{study}_{method}/predictions" for study, method in EXPERIMENTS],
        fidelity=fidelity_files(),
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
        figures=report(
            directory("<results>/report/figures"),
            patterns=["{figure}.svg"],
            category="Figures",
            labels={"figure": "{figure}"},
            caption="../resources/captions/figures.rst",
        ),
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
        directory=lambda wildcards, output: str(Path(output.page).parent),
        methods=canonical_json({name: vars(method) for name, method in METHODS.items()}),
        code=code_digest("report"),
    shell:
        "python {params.script} --evals {input.evaluations} --fidelity {input.fidelity} "
        "--config {input.config} --output-dir {params.directory} > {log} 2>&1"
