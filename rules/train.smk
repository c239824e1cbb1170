"""Students.

Comes in: the student's base model, and the training file of a method; of compressed students, also the student that is
compressed.
Goes out: results/<study>_<method>/seed_<n>/model/ (adapter or weights, history, profile), cost.json and
memory.jsonl; of methods that learn in rounds, round_<r>/ with answers.jsonl, what the student says before each round,
and model/, what the next one goes on from.
"""


rule own_answers:
    """Let a student in its training answer its prompts, for the next round of a method that learns from that."""
    input:
        data=PLAN.training_data,
        base=PLAN.base_directory,
        init=PLAN.start,
        before=PLAN.round_before,
    output:
        answers="<results>/{study}_{method}/seed_{seed}/round_{round}/answers.jsonl",
        cost="<results>/{study}_{method}/seed_{seed}/round_{round}/answers_cost.json",
    log:
        "<logs>/own_answers/{study}_{method}_{seed}_{round}.log",
    benchmark:
        "<logs>/benchmarks/own_answers/{study}_{method}_{seed}_{round}.jsonl"
    priority: STUDENTS
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=4000,
        runtime="4h",
        gpu=PLAN.gpu,
    params:
        script=script("own_answers"),
        settings=of_job(PLAN.own_answers_settings),
        optional=options("init", "before"),
        state=beside("answers"),
    shell:
        "python {params.script:q} --settings {params.settings:q} --data {input.data:q} --base {input.base:q} "
        "{params.optional:q} --seed {wildcards.seed:q} --threads {threads:q} --state {params.state:q} "
        "--output {output.answers:q} --cost {output.cost:q} > {log:q} 2>&1"


rule train:
    """Train one student by one method with one seed, or a round of that; resumable, see docs/training.md."""
    input:
        data=PLAN.training_data,
        validation=PLAN.validation_data,
        base=PLAN.base_directory,
        init=PLAN.start,
        teacher_base=PLAN.online_base,
        teacher=PLAN.online_model,
        distributions=PLAN.read_manifest,
        shards=PLAN.read_shards,
        own_answers=PLAN.round_answers,
        own_distributions=PLAN.round_manifest,
        own_shards=PLAN.round_shards,
        before=PLAN.round_before,
    output:
        model=directory("<results>/{study}_{method}/seed_{seed}{part}/model"),
        cost="<results>/{study}_{method}/seed_{seed}{part}/cost.json",
        memory="<results>/{study}_{method}/seed_{seed}{part}/memory.jsonl",
    log:
        "<logs>/train/{study}_{method}_{seed}{part}.log",
    benchmark:
        "<logs>/benchmarks/train/{study}_{method}_{seed}{part}.jsonl"
    wildcard_constraints:
        method="|".join(name for name, method in METHODS.items() if method.trains),
    priority: STUDENTS
    conda:
        "../envs/train.yaml"
    threads: PLAN.training_threads
    resources:
        mem_mb=PLAN.training_memory,
        runtime="8h",
        gpu=PLAN.training_gpus,
        gres=PLAN.training_gres,
        nodes=PLAN.nodes,
        tasks=PLAN.nodes,
        tasks_per_gpu=0,
    params:
        python=unrecorded(PLAN.python),
        script=script("train"),
        settings=of_job(PLAN.training_settings),
        strategy=unrecorded(PLAN.strategy),
        saves=unrecorded(PLAN.student_saves),
        pair=PLAN.online_pair,
        optional=options(
            *("init", "teacher_base", "teacher", "distributions", "own_answers", "own_distributions", "before")
        ),
        state=beside("model"),
    shell:
        "{params.python:q} {params.script:q} --settings {params.settings:q} --data {input.data:q} "
        "--validation {input.validation:q} --base {input.base:q} {params.optional:q} --seed {wildcards.seed:q} "
        "--threads {threads:q} --strategy {params.strategy:q} --saves {params.saves:q} --state {params.state:q} "
        "--output {output.model:q} --cost {output.cost:q} --memory {output.memory:q} > {log:q} 2>&1"


use rule train as compress with:
    """Make a compressed student of one student of the same seed: prune, train to recover, quantise; resumable too."""
    input:
        data=PLAN.training_data,
        validation=PLAN.validation_data,
        base=PLAN.base_directory,
        init=PLAN.start,
        teacher_base=PLAN.online_base,
        teacher=PLAN.online_model,
        distributions=PLAN.read_manifest,
        shards=PLAN.read_shards,
    output:
        model=directory("<results>/{study}_{method}/seed_{seed}/model"),
        cost="<results>/{study}_{method}/seed_{seed}/cost.json",
        memory="<results>/{study}_{method}/seed_{seed}/memory.jsonl",
    log:
        "<logs>/compress/{study}_{method}_{seed}.log",
    benchmark:
        "<logs>/benchmarks/compress/{study}_{method}_{seed}.jsonl"
    wildcard_constraints:
        method="|".join(PLAN.compressed) or "-",
    params:
        script=script("compress"),
        settings=of_job(PLAN.compression_settings),
        optional=options("init", "teacher_base", "teacher", "distributions"),
