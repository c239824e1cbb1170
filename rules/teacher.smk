"""The teacher.

Comes in: its base model and results/data/<study>/teacher.jsonl, rows that students never see.
Goes out: results/teachers/<study>/model/ and outputs.jsonl, its answers to the prompts that students are trained on.
"""


rule train_teacher:
    """Fine-tune the teacher; resumable, see docs/training.md."""
    input:
        data="<results>/data/{study}/teacher.jsonl",
        validation="<results>/data/{study}/validation/teacher.jsonl",
        base=lambda wildcards: base_model(wildcards, "teacher"),
    output:
        model=directory("<results>/teachers/{study}/model"),
        cost="<results>/teachers/{study}/cost.json",
    log:
        "<logs>/train_teacher/{study}.log",
    benchmark:
        "<logs>/benchmarks/train_teacher/{study}.jsonl"
    priority: 1  # students of kd wait for it
    conda:
        "../envs/train.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime="8h",
        gpu=GPU,
    params:
        script=script("train"),
        settings=training_settings,
        seed=lambda wildcards: experiments.seeds(CONFIG, wildcards.study, "teacher")[0],
        state=lambda wildcards, output: f"{output.model}.state",
        code=code_digest("train"),
    shell:
        "python {params.script} --settings {params.settings:q} --data {input.data} "
        "--validation {input.validation} --base {input.base} --seed {params.seed} --threads {threads} "
        "--state {params.state} --output {output.model} --cost {output.cost} > {log} 2>&1"


rule teacher_outputs:
    """Let the teacher answer the prompts that students are trained on, and score their labels."""
    input:
        prompts="<results>/data/{study}/sft.jsonl",
        base=lambda wildcards: base_model(wildcards, "teacher"),
        model="<results>/teachers/{study}/model",
    output:
        outputs="<results>/teachers/{study}/outputs.jsonl",
        cost="<results>/teachers/{study}/outputs_cost.json",
    log:
        "<logs>/teacher_outputs/{study}.log",
    benchmark:
        "<logs>/benchmarks/teacher_outputs/{study}.jsonl"
    priority: 1  # students of kd wait for it
    conda:
        "../envs/train.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime="4h",
        gpu=GPU,
    params:
        script=script("teacher_outputs"),
        settings=scoring_settings,
        state=lambda wildcards, output: f"{output.outputs}.state",
    shell:
        "python {params.script} --settings {params.settings:q} --prompts {input.prompts} "
        "--base {input.base} --model {input.model} --state {params.state} --output {output.outputs} "
        "--cost {output.cost} --threads {threads} > {log} 2>&1"
