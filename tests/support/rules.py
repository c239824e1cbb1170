"""The rules as Snakemake reads them, and what a configuration makes of them, without a process for each question."""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property

import snakemake.rules
import yaml
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import InputFiles, OutputFiles, Wildcards
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from pipestill.plan.plan import Plan
from support.workflow import ROOT


def _call(rule, function, wildcards, **_):
    """What a rule's function says, as Snakemake records it: nothing of one that is derived from what is known."""
    if rule._is_deriving_function(function):
        return "", False
    function = getattr(function, "callable", None) or getattr(getattr(function, "_file", None), "callable", function)
    return function(wildcards), False


# Much of Snakemake's time goes into the calls of functions, each with wildcards of its own.
snakemake.rules.get_function_params = cache(snakemake.rules.get_function_params)
snakemake.rules.Rule.apply_input_function = _call


@dataclass(frozen=True)
class Job:
    """A job, by all that Snakemake compares with its records: its rule, inputs and recorded parameters."""

    rule: str
    wildcards: tuple[tuple[str, str], ...]
    inputs: frozenset[str]
    params: frozenset[str]


class Rules:
    """All rules of the workflow."""

    def __init__(self, workflow):
        self.workflow = workflow
        self.plan = workflow.globals["PLAN"]
        self._makers = {}  # rule and wildcards of the job that makes a file

    @cached_property
    def by_name(self):
        """Rules by name."""
        return {rule.name: rule for rule in self.workflow.rules}

    def jobs(self, config, targets):
        """Jobs by name that a checked configuration needs to make ``targets``, files or rules without wildcards."""
        self.plan.__dict__ = vars(Plan(config, ROOT))  # the rules hold methods of this one
        found, waiting = {}, [*targets]
        while waiting:
            target = waiting.pop()
            rule, wildcards = (self.by_name[target], {}) if target in self.by_name else self._maker(target)
            name = name_of(rule, wildcards)
            if name not in found:
                found[name] = job = _job(rule, wildcards, name)
                waiting += job.inputs
        return found

    def anew(self, before, after):
        """Names of the jobs that ``after`` runs where ``before`` has been run, and those of them that run first."""
        changed = {name for name, job in after.items() if before.get(name) != job}
        found: dict[tuple, bool] = {}

        def runs(name):
            if name not in found:
                found[name] = name in changed or any(map(runs, self._makers_of(after[name])))
            return found[name]

        anew = set(filter(runs, after))
        return anew, {name for name in changed if not anew.intersection(self._makers_of(after[name]))}

    def _makers_of(self, job):
        return [name_of(*self._maker(file)) for file in job.inputs]

    def _maker(self, file):
        if file not in self._makers:
            (rule,) = (rule for rule in self.workflow.rules if rule.products() and rule.is_producer(file))
            self._makers[file] = rule, dict(rule.get_wildcards(file))
        return self._makers[file]


def _job(rule, given, name):
    wildcards = Wildcards(fromdict=given)
    inputs, *_ = rule.expand_input(wildcards)
    _, recorded = rule.expand_params(wildcards, InputFiles(), OutputFiles(), None)
    return Job(*name, frozenset(map(str, inputs)), frozenset(map(repr, recorded)))


def name_of(rule, wildcards):
    """What makes a job this one, whatever its parameters are."""
    return rule.name, tuple(sorted(wildcards.items()))


@contextmanager
def read_rules(directory, config):
    """The rules, read for a configuration in a working directory by the Snakemake that runs them."""
    path = directory / "configuration.yaml"
    path.write_text(yaml.safe_dump(config))
    settings = {
        "resource_settings": ResourceSettings(cores=1),
        "config_settings": ConfigSettings(configfiles=[path]),
    }
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        yield Rules(api.workflow(**settings, snakefile=ROOT / "Snakefile", workdir=directory)._workflow)
