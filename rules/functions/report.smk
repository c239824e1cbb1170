"""Inputs and parameters of report.smk."""


def fidelity_files():
    """Facts about the caches of all studies that have one."""
    return [
        f"<results>/teachers/{study}/fidelity.json"
        for study in experiments.studies(CONFIG)
        if experiments.divergences(CONFIG, study, "cached")
    ]


def learning_curve_files(name):
    """Function that gives one file of each experiment that a learning curve is drawn through."""

    def files(wildcards):
        points = experiments.learning_curve(CONFIG, wildcards.study)
        return [f"<results>/{study}_{method}/{name}" for study, method in points]

    return files
