"""Distil large language models into small ones by every method of a study, and report which works best."""

from snakemake.utils import min_version

min_version("9.12")


include: "rules/files.smk"


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/pretrain.smk"
include: "rules/data.smk"
include: "rules/teacher.smk"
include: "rules/annotate.smk"
include: "rules/train.smk"
include: "rules/predict.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/submission.smk"


onstart:
    check_start()


localrules:
    all,
    resolved_config,


rule all:
    default_target: True
    input:
        "<results>/report/index.html",
        PLAN.of_experiments("eval.json"),
