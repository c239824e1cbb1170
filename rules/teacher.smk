"""The teacher.

Comes in: its base model and results/data/<study>/teacher.jsonl, rows that students never see.
Goes out: results/teachers/<study>/model/; outputs.jsonl, its answers to the prompts that students are trained on, and
unlabelled_outputs.jsonl, those to prompts without gold outputs; of a teacher with a context, context_outputs.jsonl and
unlabelled_context_outputs.jsonl;
distributions/, what it finds likely at each token of the students' training and validation answers; own/, at those of
what students say before each round of their training; fidelity.json.
"""


rule train_teacher:
    """Fine-tune the teacher; resumable, see docs/training.md."""
    input:
        data="<results>/data/{study}/teacher.jsonl",
        validation="<results>/data/{study}/validation/teacher.jsonl",
        base=PLAN.teacher_base,
    output:
        model=directory("<results>/teachers/{study}/model"),
        cost="<results>/teachers/{study}/cost.json",
        memory="<results>/teachers/{study}/memory.jsonl",
    log:
        "<logs>/train_teacher/{study}.log",
    benchmark:
        "<logs>/benchmarks/train_teacher/{study}.jsonl"
    priority: BEFORE_STUDENTS
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
        settings=of_job(PLAN.training_settings, method=TEACHER_NAME, part=""),
        strategy=unrecorded(PLAN.strategy),
        saves=unrecorded(PLAN.teacher_saves),
        seed=PLAN.teacher_seed,
        state=beside("model"),
    shell:
        "{params.python:q} {params.script:q} --settings {params.settings:q} --data {input.data:q} "
        "--validation {input.validation:q} --base {input.base:q} --seed {params.seed:q} --threads {threads:q} "
        "--strategy {params.strategy:q} --saves {params.saves:q} --state {params.state:q} --output {output.model:q} "
        "--cost {output.cost:q} --memory {output.memory:q} > {log:q} 2>&1"


rule teacher_outputs:
    """Let the teacher answer the prompts that students are trained on, and score their labels."""
    input:
        prompts="<results>/data/{study}/sft.jsonl",
        base=PLAN.teacher_base,
        teacher=PLAN.teacher_model,
    output:
        outputs="<results>/teachers/{study}/outputs.jsonl",
        cost="<results>/teachers/{study}/outputs_cost.json",
    log:
        "<logs>/teacher_outputs/{study}.log",
    benchmark:
        "<logs>/benchmarks/teacher_outputs/{study}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=PLAN.asking_memory,
        runtime="8h",
        gpu=PLAN.asking_gpus,
    params:
        script=script("teacher_outputs"),
        settings=of_job(PLAN.scoring_settings, method=TEACHER_NAME),
        teacher=options("teacher"),
        state=beside("outputs"),
        devices=unrecorded(PLAN.asking_devices),
    shell:
        "python {params.script:q} --settings {params.settings:q} --prompts {input.prompts:q} "
        "--base {input.base:q} {params.teacher:q} --state {params.state:q} --output {output.outputs:q} "
        "--cost {output.cost:q} --threads {threads:q} "
        "--devices {params.devices:q} > {log:q} 2>&1"


use rule teacher_outputs as unlabelled_outputs with:
    """Let the teacher answer prompts without gold outputs, and score their labels."""
    input:
        prompts="<results>/data/{study}/unlabelled/prompts.jsonl",
        base=PLAN.teacher_base,
        teacher=PLAN.teacher_model,
    output:
        outputs="<results>/teachers/{study}/unlabelled_outputs.jsonl",
        cost="<results>/teachers/{study}/unlabelled_outputs_cost.json",
    log:
        "<logs>/unlabelled_outputs/{study}.log",
    benchmark:
        "<logs>/benchmarks/unlabelled_outputs/{study}.jsonl"


use rule teacher_outputs as student_outputs with:
    """Let an SFT student answer the prompts that it was trained on, for pairs of its own mistakes."""
    input:
        prompts="<results>/data/{study}/sft.jsonl",
        base=PLAN.student_base,
        teacher="<results>/{study}_sft/seed_{seed}/model",
    output:
        outputs="<results>/{study}_sft/seed_{seed}/outputs.jsonl",
        cost="<results>/{study}_sft/seed_{seed}/outputs_cost.json",
    log:
        "<logs>/student_outputs/{study}_{seed}.log",
    benchmark:
        "<logs>/benchmarks/student_outputs/{study}_{seed}.jsonl"
    params:
        settings=of_job(PLAN.scoring_settings, method=SFT),


rule context_outputs:
    """Let a teacher answer the prompts of a context distillation after it has read the context of each."""
    input:
        records=PLAN.cropped,
        base=PLAN.context_base,
        teacher=PLAN.context_model,
    output:
        outputs="<results>/teachers/{study}/context_outputs.jsonl",
        cost="<results>/teachers/{study}/context_outputs_cost.json",
    log:
        "<logs>/context_outputs/{study}.log",
    benchmark:
        "<logs>/benchmarks/context_outputs/{study}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=PLAN.asking_memory,
        runtime="4h",
        gpu=PLAN.asking_gpus,
    params:
        script=script("context_outputs"),
        settings=of_job(PLAN.context_output_settings),
        optional=options("teacher"),
        state=beside("outputs"),
        devices=unrecorded(PLAN.asking_devices),
    shell:
        "python {params.script:q} --settings {params.settings:q} --records {input.records:q} "
        "--base {input.base:q} {params.optional:q} --state {params.state:q} --output {output.outputs:q} "
        "--cost {output.cost:q} --threads {threads:q} "
        "--devices {params.devices:q} > {log:q} 2>&1"


use rule context_outputs as unlabelled_context_outputs with:
    """Let it answer prompts without gold outputs in the same way."""
    input:
        records=PLAN.cropped,
        unlabelled=PLAN.unlabelled_records,
        base=PLAN.context_base,
        teacher=PLAN.context_model,
    output:
        outputs="<results>/teachers/{study}/unlabelled_context_outputs.jsonl",
        cost="<results>/teachers/{study}/unlabelled_context_outputs_cost.json",
    log:
        "<logs>/unlabelled_context_outputs/{study}.log",
    benchmark:
        "<logs>/benchmarks/unlabelled_context_outputs/{study}.jsonl"
    params:
        optional=options("unlabelled", "teacher"),


rule teacher_distributions_shard:
    """Capture a share of a teacher's distributions; resumable, see docs/distributions.md."""
    input:
        data=PLAN.stored_data,
        base=PLAN.stored_base,
        teacher=PLAN.stored_model,
        student=PLAN.student_base,
    output:
        shard="<results>/teachers/{study}/{store}/shard_{shard}.safetensors",
        facts="<results>/teachers/{study}/{store}/shard_{shard}.json",
        cost="<results>/teachers/{study}/{store}/shard_{shard}_cost.json",
    log:
        "<logs>/teacher_distributions_shard/{study}_{store}_{shard}.log",
    benchmark:
        "<logs>/benchmarks/teacher_distributions_shard/{study}_{store}_{shard}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=4000,
        runtime="8h",
        gpu=PLAN.gpu,
    params:
        script=script("teacher_distributions_shard"),
        settings=of_job(PLAN.capture_settings),
        pair=PLAN.pair,
        teacher=options("teacher"),
        shards=PLAN.shard_count,
        state=beside("shard"),
    shell:
        "python {params.script:q} --settings {params.settings:q} --data {input.data:q} "
        "--base {input.base:q} {params.teacher:q} --student {input.student:q} --shard {wildcards.shard:q} "
        "--shards {params.shards:q} --state {params.state:q} --output {output.shard:q} --facts {output.facts:q} "
        "--cost {output.cost:q} --threads {threads:q} > {log:q} 2>&1"


rule teacher_distributions:
    """Check that the shards belong together, and list them in one manifest."""
    input:
        shards=PLAN.shards,
        facts=PLAN.shard_facts,
    output:
        manifest="<results>/teachers/{study}/{store}/manifest.json",
    log:
        "<logs>/teacher_distributions/{study}_{store}.log",
    benchmark:
        "<logs>/benchmarks/teacher_distributions/{study}_{store}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="2h",
    params:
        script=script("teacher_distributions"),
        code=code_digest("teacher_distributions"),
    shell:
        "python {params.script:q} --facts {input.facts:q} --output {output.manifest:q} > {log:q} 2>&1"


rule distribution_fidelity:
    """Compare gradients from the stored distributions with exact ones, on validation tokens."""
    input:
        manifest="<results>/teachers/{study}/distributions/manifest.json",
        shards=PLAN.shards,
        validation="<results>/data/{study}/validation/sft.jsonl",
        base=PLAN.teacher_base,
        teacher=PLAN.teacher_model,
        student=PLAN.student_base,
    output:
        "<results>/teachers/{study}/fidelity.json",
    log:
        "<logs>/distribution_fidelity/{study}.log",
    benchmark:
        "<logs>/benchmarks/distribution_fidelity/{study}.jsonl"
    conda:
        "../envs/train.yaml"
    threads: PLAN.config.threads
    resources:
        mem_mb=4000,
        runtime="1h",
        gpu=PLAN.gpu,
    params:
        script=script("distribution_fidelity"),
        settings=of_job(PLAN.fidelity_settings),
        pair=PLAN.pair,
        teacher=options("teacher"),
        code=code_digest("distribution_fidelity"),
    shell:
        "python {params.script:q} --settings {params.settings:q} --manifest {input.manifest:q} "
        "--validation {input.validation:q} --base {input.base:q} {params.teacher:q} --student {input.student:q} "
        "--output {output:q} --threads {threads:q} > {log:q} 2>&1"


rule context_accuracy:
    """Measure how often the teacher of a context distillation finds the gold answers likeliest."""
    input:
        manifest="<results>/teachers/{study}/context/manifest.json",
        shards=PLAN.context_shards,
        data="<results>/data/{study}/cd.jsonl",
        student=PLAN.student_base,
    output:
        "<results>/teachers/{study}/context/accuracy.json",
    log:
        "<logs>/context_accuracy/{study}.log",
    benchmark:
        "<logs>/benchmarks/context_accuracy/{study}.jsonl"
    priority: BEFORE_STUDENTS
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        script=script("context_accuracy"),
        code=code_digest("context_accuracy"),
    shell:
        "python {params.script:q} --manifest {input.manifest:q} --data {input.data:q} --student {input.student:q} "
        "--output {output:q} > {log:q} 2>&1"


rule export_distributions:
    """Write the stored distributions as a Parquet table, for a look at them; not a part of `all`."""
    input:
        manifest="<results>/teachers/{study}/distributions/manifest.json",
        shards=PLAN.shards,
    output:
        "<results>/teachers/{study}/distributions/export.parquet",
    log:
        "<logs>/export_distributions/{study}.log",
    benchmark:
        "<logs>/benchmarks/export_distributions/{study}.jsonl"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        script=script("export_distributions"),
        code=code_digest("export_distributions"),
    shell:
        "python {params.script:q} --manifest {input.manifest:q} --output {output:q} > {log:q} 2>&1"
