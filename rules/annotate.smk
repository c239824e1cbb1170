"""Annotation.

Comes in: cropped records, and inputs of files that studies learn without gold outputs; for a local annotator also its
base model.
Goes out: results/data/<task>/rationales.jsonl and usage.json; results/annotators/<task>/model, the local annotator.
Steps: annotator_data and train_annotator (on the teacher split, for `provider: local`), annotate. What is answered is
kept in <ledger>/<task>/, outside of the results. annotation_estimate says what a run would take.
"""


envvars:  # for jobs on other machines; a run that asks for rationales needs them, see start_run
    *[name for name in PLAN.annotation_keys if os.environ.get(name)],


rule annotator_data:
    """Write prompts and rationales of the teacher split, which no student sees."""
    input:
        "<results>/data/{task}/cropped.jsonl",
    output:
        train="<results>/annotators/{task}/train.jsonl",
        validation="<results>/annotators/{task}/validation.jsonl",
    log:
        "<logs>/annotator_data/{task}.log",
    benchmark:
        "<logs>/benchmarks/annotator_data/{task}.jsonl"
    wildcard_constraints:
        task=ANNOTATED,
    priority: BEFORE_STUDENTS
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("annotator_data"),
        questions=of_job(PLAN.annotator_questions),
        code=code_digest("annotator_data"),
    shell:
        "python {params.script:q} --questions {params.questions:q} --records {input:q} --train {output.train:q} "
        "--validation {output.validation:q} > {log:q} 2>&1"


use rule train_teacher as train_annotator with:
    """Fine-tune the local annotator; resumable, see docs/training.md."""
    input:
        data="<results>/annotators/{task}/train.jsonl",
        validation="<results>/annotators/{task}/validation.jsonl",
        base=PLAN.annotator_base,
    output:
        model=directory("<results>/annotators/{task}/model"),
        cost="<results>/annotators/{task}/cost.json",
        memory="<results>/annotators/{task}/memory.jsonl",
    log:
        "<logs>/train_annotator/{task}.log",
    benchmark:
        "<logs>/benchmarks/train_annotator/{task}.jsonl"
    wildcard_constraints:
        task=ANNOTATED,
    params:
        settings=of_job(PLAN.annotator_settings),
        saves=unrecorded(PLAN.annotator_saves),
        seed=PLAN.annotator_seed,


rule annotate:
    """Ask for rationales; a local annotator is served for as long as this job runs, see docs/annotation.md."""
    input:
        records="<results>/data/{task}/cropped.jsonl",
        unlabelled=PLAN.unlabelled_files,
        model=PLAN.annotator_model,
        base=PLAN.annotator_base,
    output:
        rationales="<results>/data/{task}/rationales.jsonl",
        usage="<results>/data/{task}/usage.json",
    log:
        job="<logs>/annotate/{task}.log",
        server="<logs>/annotate/{task}.server.log",
    benchmark:
        "<logs>/benchmarks/annotate/{task}.jsonl"
    wildcard_constraints:
        task=ANNOTATED,
    priority: BEFORE_STUDENTS
    retries: 0  # the job itself repeats what may be repeated
    conda:
        "../envs/annotate.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=4000,
        runtime="24h",
        gpu=PLAN.annotator_gpu,
    params:
        script=script("annotate"),
        settings=of_job(PLAN.annotation_settings),
        pace=unrecorded(of_job(PLAN.annotation_pace)),
        optional=options("unlabelled", "model", "base"),
        documents=PLAN.annotated_with,
        code=PLAN.annotation_code,
    shell:
        "python {params.script:q} --task {wildcards.task:q} --settings {params.settings:q} --pace {params.pace:q} "
        "--records {input.records:q} {params.optional:q} {params.documents:q} --threads {threads:q} "
        "--server-log {log.server:q} --output {output.rationales:q} --usage {output.usage:q} > {log.job:q} 2>&1"


rule annotation_estimate:
    """Count what the annotation would send, and what that may cost; sends nothing. Not a part of `all`."""
    input:
        records="<results>/data/{task}/cropped.jsonl",
        unlabelled=PLAN.unlabelled_files,
        model=PLAN.annotator_model,
        base=PLAN.annotator_base,
    output:
        "<results>/data/{task}/annotation_estimate.json",
    log:
        "<logs>/annotation_estimate/{task}.log",
    benchmark:
        "<logs>/benchmarks/annotation_estimate/{task}.jsonl"
    wildcard_constraints:
        task=ANNOTATED,
    conda:
        "../envs/annotate.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        script=script("annotate"),
        settings=of_job(PLAN.annotation_settings),
        pace=of_job(PLAN.annotation_pace),
        optional=options("unlabelled", "model", "base"),
        documents=PLAN.annotated_with,
        code=PLAN.annotation_code,
    shell:
        "python {params.script:q} --task {wildcards.task:q} --settings {params.settings:q} --pace {params.pace:q} "
        "--records {input.records:q} {params.optional:q} {params.documents:q} --estimate {output:q} > {log:q} 2>&1"
