"""The project's own base models, pre-trained from scratch. Not part of `all`: the models are shipped in resources/models/.

Comes in: nothing; the corpus is generated from seeds.
Goes out: results/pretraining/tokenizer/ and results/pretraining/<model>/ for six models, each with SHA256SUMS, the
models with a model card.
Steps: learn the tokenizer, pre-train each model on one thread (two and a half hours of CPU time in all).
To ship what was made, copy it: cp -r results/pretraining/{tokenizer,demo-*}/ resources/models/.
"""

DEMO_MODELS = (
    "demo-student",
    "demo-teacher",
    "demo-t5-student",
    "demo-t5-teacher",
    "demo-bert-student",
    "demo-bert-teacher",
)


rule pretrain_demo_models:
    input:
        expand("<results>/pretraining/{demo_model}", demo_model=DEMO_MODELS),


rule pretrain_demo_tokenizer:
    """Learn the byte-level BPE that all of the project's own models share."""
    output:
        directory("<results>/pretraining/tokenizer"),
    log:
        "<logs>/pretrain_demo_tokenizer.log",
    benchmark:
        "<logs>/benchmarks/pretrain_demo_tokenizer.jsonl"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("pretrain_demo_tokenizer"),
        code=code_digest("pretrain_demo_tokenizer"),
    shell:
        "python {params.script:q} --output {output:q} > {log:q} 2>&1"


rule pretrain_demo_model:
    """Pre-train one model, probe it and write its model card; the state that it resumes from lies beside the output."""
    input:
        "<results>/pretraining/tokenizer",
    output:
        directory("<results>/pretraining/{demo_model}"),
    log:
        "<logs>/pretrain_demo_model/{demo_model}.log",
    benchmark:
        "<logs>/benchmarks/pretrain_demo_model/{demo_model}.jsonl"
    wildcard_constraints:
        demo_model="|".join(DEMO_MODELS),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime="4h",
    params:
        script=script("pretrain_demo_model"),
        state=beside(ending=".state/state.pt"),
        code=code_digest("pretrain_demo_model"),
    shell:
        "python {params.script:q} --name {wildcards.demo_model:q} --tokenizer {input:q} "
        "--threads {threads:q} --state {params.state:q} --output {output:q} > {log:q} 2>&1"
