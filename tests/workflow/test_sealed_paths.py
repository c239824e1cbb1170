"""No script can forget to check what it reads from the results, or to seal what it writes there."""

import argparse
import re
import runpy
from functools import cache
from pathlib import Path

import pytest

from pipestill.job.script import reads, writes
from support.rule_texts import rule_parts

ROOT = Path(__file__).parents[2]
OUTSIDE = {  # options that name paths which are not results that another job reads
    "--path": "a model on the user's disk, which is checked as it is taken",
    "--state": "state of the job itself, which checks it when it goes on",
    "--server-log": "a log",
    "--output-dir": "the report tells what it wrote there, and that is sealed",
}
LISTED = {("teacher_distributions_shard", "--output")}  # its digest stands in the facts beside it, and in the manifest
BY_MANIFEST = {
    "shards",
    "own_shards",
}  # inputs of rules whose script reads the manifest, and checks the shards that it lists


class Parsed(Exception):
    pass


@cache
def options(script):
    """The types of a script's options."""

    def stop(parser, *_):
        raise Parsed({option: action.type for action in parser._actions for option in action.option_strings})

    original, argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_args, stop
    try:
        runpy.run_path(str(ROOT / "workflow_scripts" / f"{script}.py"))["main"]()
    except Parsed as parsed:
        return parsed.args[0]
    finally:
        argparse.ArgumentParser.parse_args = original
    raise AssertionError(f"{script} parses no command line")


class Rule:
    """What the text of a rule says."""

    def __init__(self, name, parts):
        self.name, self.parts = name, parts
        self.script = re.search(r'\bscript\("(\w+)"\)', parts["params"])[1]
        self.shell = "".join(re.findall(r'"(.*)"', self.parts["shell"]))

    def names(self, part):
        """Names of its inputs or outputs; one without a name is called by the part."""
        found = re.findall(r"^        (\w+)=", self.parts.get(part, ""), flags=re.M)
        return found or ([part] if part in self.parts else [])

    def given(self, part):
        """Option that each name is given by in the command."""
        found = {}
        for option, places in re.findall(r"(--[\w-]+) ((?:\{[^}]*\}\S* ?)+)", self.shell):
            for name in re.findall(rf"\{{{part}(?:\.(\w+))?", places):
                found[name or part] = option
        return found

    def by_functions(self):
        """Option that parameters give each input by."""
        params = self.parts.get("params", "")
        names = re.findall(r'"(\w+)"', "".join(re.findall(r"\boptions\(([^)]*)\)", params)))
        names += re.findall(r'\bfile_of\("(\w+)"', params)
        return {name: f"--{name.replace('_', '-')}" for name in names}


RULES = [Rule(name, parts) for name, parts in rule_parts().items() if "shell" in parts]


@pytest.mark.parametrize("script", sorted({rule.script for rule in RULES}))
def test_every_path_of_a_script_is_checked_or_sealed_unless_it_is_named_here(script):
    for option, kind in options(script).items():
        plain = kind is Path and option not in OUTSIDE and (script, option) not in LISTED
        assert not plain, f"{script} {option}: use `reads` or `writes` as its type"


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_input_of_a_rule_is_checked_and_every_output_sealed(rule):
    known = options(rule.script)
    given = rule.given("input") | rule.by_functions()
    for name in rule.names("input"):
        if name not in BY_MANIFEST:
            assert name in given, f"rule {rule.name} gives its input {name} to no option"
            assert known[given[name]] is reads, f"{rule.script} {given[name]}: use `reads` as its type"
    if "--output-dir" in rule.shell:
        return
    given = rule.given("output")
    for name in rule.names("output"):
        assert name in given, f"rule {rule.name} gives its output {name} to no option"
        if (rule.script, given[name]) not in LISTED:
            assert known[given[name]] is writes, f"{rule.script} {given[name]}: use `writes` as its type"


def test_the_test_sees_all_rules():
    assert {"train", "evaluate", "report", "annotate", "teacher_distributions_shard"} <= {rule.name for rule in RULES}
    assert {rule.script for rule in RULES} == {
        path.stem for path in (ROOT / "workflow_scripts").glob("*.py") if path.stem != "probe_demo_models"
    }
