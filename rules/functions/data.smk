"""Inputs and parameters of data.smk."""


def data_source(wildcards):
    """JSON that says where a task's raw data come from, without the keys of other kinds of source."""
    task = CONFIG.tasks[wildcards.task]
    if task.source == "published":
        files = {name: file.model_dump(exclude_none=True) for name, file in task.files_of().items()}
        return canonical_json({"source": "files", "files": files})
    keys = {
        "synthetic": {"rows", "seed"},
        "file": {"path", "sha256"},
        "url": {"url", "sha256"},
        "files": {"files"},
    }[task.source]
    if not (TASKS[wildcards.task].ranks_labels or TASKS[wildcards.task].collection):
        keys |= {"test_sets", "test_rows"} if task.source == "synthetic" else {"test_sets"}
    return task.model_dump_json(include={"source", *keys})


def local_digest(wildcards):
    """Digest of each local data file of a task, so that an edited file is read again."""
    return local_digests(CONFIG.tasks[wildcards.task].local_files().values())


def download_code(wildcards):
    """Digest of the code of `download`; a task's own code makes its synthetic data alone."""
    synthetic = CONFIG.tasks[wildcards.task].source == "synthetic"
    return code_digest("download", *([f"pipestill.tasks.{wildcards.task}"] if synthetic else []))


def crop_options(wildcards, input):
    """Options that say how long inputs may be, and how prompts are made of them."""
    task = CONFIG.tasks[wildcards.task]
    if TASKS[wildcards.task].collection is None:
        return f"--max-chars {task.max_chars} --template {task.template}"
    return crop_documents_options(task, input)


def teacher_outputs(wildcards):
    """The teacher's outputs, for the training files that are made of them."""
    return (
        f"{teacher_directory(wildcards)}/outputs.jsonl"
        if experiments.asks_teacher(CONFIG, wildcards.study, wildcards.file)
        else []
    )


def rationales(wildcards):
    """What the annotation answered, for the training files that are made of it."""
    return f"<results>/data/{task_of(wildcards)}/rationales.jsonl" if asks_rationales(wildcards) else []


def rationale_tokenizer(wildcards):
    """Base model whose tokens are counted where rationales are cropped."""
    return crop_tokenizer(wildcards) if asks_rationales(wildcards) else []


def asks_rationales(wildcards):
    """Whether a training file is made of rationales."""
    return wildcards.file == "stepwise" and CONFIG.tasks[task_of(wildcards)].annotation is not None


def rationale_options(wildcards, input):
    """Options that say where rationales are, how many may be missing, and how long they may be."""
    if not input.rationales:
        return ""
    task = CONFIG.tasks[task_of(wildcards)]
    names = f"--rationales {input.rationales} --allow-missing {task.annotation.allow_missing}"
    return f"{names} {crop_documents_options(task, input)}"


def rows(wildcards):
    """Options that limit the rows of a training file, of each class in tasks that have classes."""
    cap = experiments.training_rows(CONFIG, wildcards.study, wildcards.file)
    share = experiments.training_share(CONFIG, wildcards.study, wildcards.file)
    options = [*([f"--rows {cap}"] if cap else []), *([f"--share {share}"] if share < 1 else [])]
    return " ".join(options)
