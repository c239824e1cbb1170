"""Inputs and parameters of teacher.smk."""


def teacher_option(wildcards, input):
    """Option that names the teacher's fine-tuned model."""
    return f"--teacher {input.teacher}" if input.teacher else ""


def distribution_settings(wildcards):
    """JSON of the settings of a job that captures teacher distributions."""
    code = code_digest("teacher_distributions_shard")
    return canonical_json(experiments.distribution_settings(CONFIG, wildcards.study, code))


def scoring_settings(wildcards):
    """JSON of the settings of the job in which a study's teacher answers."""
    code = code_digest("teacher_outputs", f"pipestill.tasks.{task_of(wildcards)}")
    return canonical_json(experiments.scoring_settings(CONFIG, wildcards.study, "teacher", code))
