"""Inputs and parameters of predict.smk."""


def agreement_data(wildcards):
    """Validation answers on which students are compared with the teacher's distributions, if there are any."""
    return f"<results>/data/{wildcards.study}/validation/sft.jsonl" if distributions(wildcards) else []
