"""Input functions and recorded parameters of the rules, stage by stage: methods that Snakemake calls with wildcards.

Parameters are functions of wildcards alone, which Snakemake records; those that depend on a job's files are in
:mod:`pipestill.plan.paths`.
"""
