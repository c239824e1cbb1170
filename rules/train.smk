"""Students.

Comes in: the student's base model, and the training file of a method.
Goes out: results/<study>_<method>/seed_<n>/model/ (adapter or weights, history, profile), cost.json and
memory.jsonl.
"""


rule train:
    """Train one student by one method with one seed; resumable, see docs/training.md."""
    input:
        data=PLAN.training_data,
        validation=PLAN.validation_data,
        base=PLAN.base_directory,
        start=PLAN.start,
        teacher=PLAN.online_teacher,
        distributions=PLAN.cached_teacher,
    output:
        model=directory("<results>/{study}_{method}/seed_{seed}/model"),
        cost="<results>/{study}_{method}/seed_{seed}/cost.json",
        memory="<results>/{study}_{method}/seed_{seed}/memory.jsonl",
    log:
        "<logs>/train/{study}_{method}_{seed}.log",
    benchmark:
        "<logs>/benchmarks/train/{study}_{method}_{seed}.jsonl"
    wildcard_constraints:
        method="|".join(name for name, method in METHODS.items() if method.trains),
    priority: STUDENTS
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=4000,
        runtime="8h",
        gpu=PLAN.gpu,
    params:
        script=PLAN.script("train"),
        settings=PLAN.student_settings,
        init=PLAN.init_option,
        teacher=PLAN.training_teacher,
        state=lambda wildcards, output: f"{output.model}.state",
    shell:
        "python {params.script} --settings {params.settings:q} --data {input.data} "
        "--validation {input.validation} --base {input.base} {params.init} {params.teacher} --seed {wildcards.seed} "
        "--threads {threads} --state {params.state} --output {output.model} --cost {output.cost} "
        "--memory {output.memory} > {log} 2>&1"
