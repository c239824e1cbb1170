"""The rules as Snakemake reads them, and what a configuration makes of them, without a process for each question."""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property

import snakemake.rules
import yaml
from snakemake.api import SnakemakeApi
from snakemake.io import IOFile, apply_wildcards
from snakemake.iocontainers import Wildcards
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from pipestill.plan.plan import Plan
from support.workflow import ROOT


def _function(item):
    """The plain function of a rule's input or parameter, if it is one."""
    item = getattr(getattr(item, "_file", item), "callable", item)
    return item if callable(item) and not isinstance(item, str) else None


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
        self._texts = {}  # of files
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
                found[name] = job = _job(rule, wildcards, name, self._texts)
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


def _inputs(rule, wildcards, texts):
    """Files that a job reads. How Snakemake writes one out does not depend on the configuration: ``texts`` has those
    that it has written."""
    for _, item in rule.input._allitems():
        function = _function(item)
        value = function(wildcards) if function else item
        for text in [value] if isinstance(value, str) else value:
            key = rule.name, text, None if function else str(wildcards)
            if key not in texts:
                file = IOFile(text, rule=rule) if function else text
                texts[key] = str(file.apply_wildcards(wildcards))
            yield texts[key]


def _params(rule, wildcards):
    """Parameters that Snakemake records, which are those that are not derived from what is known."""
    for _, item in rule.params._allitems():
        function = _function(item)
        if not function:
            yield apply_wildcards(item, wildcards) if isinstance(item, str) else item
        elif not _is_deriving(function):
            yield function(wildcards)


_is_deriving = cache(snakemake.rules.Rule._is_deriving_function)


def _job(rule, given, name, texts):
    wildcards = Wildcards(fromdict=given)
    return Job(*name, frozenset(_inputs(rule, wildcards, texts)), frozenset(map(repr, _params(rule, wildcards))))


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
