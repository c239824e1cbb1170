"""Base models.

Comes in: a local directory, or a repository of the Hugging Face hub at a pinned revision.
Goes out: results/models/<model>/, safetensors with SHA256SUMS and a profile; results/<study>_<checkpoint>/model/,
the same for a model on disk that is evaluated beside a study's students.
"""


rule base_model:
    """Copy or download a base model, check it, and align its special tokens."""
    output:
        directory("<results>/models/{model}"),
    log:
        "<logs>/base_model/{model}.log",
    benchmark:
        "<logs>/benchmarks/base_model/{model}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        script=script("base_model"),
        model=PLAN.model_source,
        identity=PLAN.model_identity,
        code=code_digest("base_model"),
    shell:
        "python {params.script:q} --name {wildcards.model:q} --model {params.model:q} --output {output:q} > {log:q} 2>&1"


rule checkpoint:
    """Take a model from disk, full weights or an adapter, to evaluate it as a study's student."""
    input:
        base=PLAN.base_directory,
    output:
        directory("<results>/{study}_{checkpoint}/model"),
    log:
        "<logs>/checkpoint/{study}_{checkpoint}.log",
    benchmark:
        "<logs>/benchmarks/checkpoint/{study}_{checkpoint}.jsonl"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        script=script("checkpoint"),
        path=PLAN.checkpoint_path,
        identity=PLAN.checkpoint_identity,
        code=code_digest("checkpoint"),
    shell:
        "python {params.script:q} --path {params.path:q} --base {input.base:q} --output {output:q} > {log:q} 2>&1"
