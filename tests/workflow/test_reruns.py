"""Every key of the configuration, changed by itself, first runs again what its section says, and nothing else."""

from collections import defaultdict
from itertools import islice

import pytest

from pipestill.answers.kinds import KINDS
from pipestill.methods import METHODS
from pipestill.plan.check import check
from pipestill.plan.config import Config
from pipestill.plan.reference import _sections
from pipestill.settings.section import holds_sections
from support.configurations import CONFIGURATIONS, of_files
from support.keys import changed, keys
from support.rules import read_rules

VALUES = 3  # that are tried where one has no effect
OWN_JOB = ("resolved_config", ())  # the job that writes the configuration itself


class Walk:
    """What changes of single keys run first.

    Attributes:
        rules: by place, those that are said to run.
        ran: by place, those that ran.
        known: (section, key) of all keys that were changed.
        wrong: sentences about changes that run more than is said.
        of_declaration: by key and declaration, the rules that ran in all of its places.
    """

    def __init__(self):
        self.rules, self.ran, self.known, self.wrong = {}, {}, set(), []
        self.of_declaration = defaultdict(set)

    def go(self, rules, config, targets):
        """Change every key of a configuration, but for those of which all that is said has been seen."""
        checked = check(config)
        before = rules.jobs(checked, targets)
        found = sorted(keys(checked), key=lambda key: (len(key.path), str(key.path)))  # what concerns most comes first
        for key in found:
            if not self._knows(key):
                self._change(rules, config, checked, targets, before, key)

    def _knows(self, key):
        """Whether all that is said of a key has been seen."""
        assert key.rules is not None, f"{key.place}: `reruns` of its section, or of one above, must name it"
        self.rules[key.place] = key.rules
        ran = self.ran.get(key.place)
        return ran is not None and bool(ran or not key.rules) and self._seen(key) >= key.declared

    def _seen(self, key):
        return self.of_declaration[key.path[-1], key.declared]

    def _change(self, rules, config, checked, targets, before, key):
        """Try other values of one key."""
        again = key.place in self.ran and key.path[0] == "studies" and key.path[2] in ("training", "overrides")
        own = _evaluations(before, key.path[1]) if again else []
        for other in islice(changed(config, checked, key), VALUES if key.rules else 1):
            if own and not rules.anew(before, rules.jobs(other, own))[0]:
                continue  # the job of all studies takes ten times as long
            _, first = rules.anew(before, rules.jobs(other, targets))
            first.discard(OWN_JOB)
            self.known.add((key.section.__name__.removesuffix("Override"), key.path[-1]))
            self.wrong += [
                f"{'.'.join(map(str, key.path))} runs {name}"
                for name in first & before.keys()
                if name[0] not in key.rules
            ]
            self._seen(key).update(rule for rule, _ in first)
            self.ran.setdefault(key.place, set()).update(rule for rule, _ in first)
            if first:
                break


def _evaluations(jobs, study):
    return [file for file in jobs["all", ()].inputs if file.startswith(f"results/{study}_")]


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    found = Walk()
    with read_rules(tmp_path_factory.mktemp("walk"), of_files()) as rules:
        for config, targets in CONFIGURATIONS:
            found.go(rules, config(), targets)
    return found


def test_every_key_of_every_section_has_been_changed(walk):
    sections = {section for path, section, _ in _sections("", Config) if ".overrides." not in path}
    wanted = {
        (section.__name__.removesuffix("Override"), name)
        for section in sections
        for name, field in section.model_fields.items()
        if not holds_sections(field.annotation) and name not in ("data", "answers", "overrides")  # sections as well
    }
    wanted -= {(kind.Definition.__name__, "kind") for kind in KINDS.values() if kind.Definition}  # decides the section
    for entry in METHODS.values():
        if entry.objective:
            settings, common = entry.objective.settings, type(entry.objective).Options
            wanted |= {(settings.__name__, name) for name in settings.model_fields.keys() - common.model_fields}
    assert sorted(wanted - walk.known) == []
    assert not [place for place in walk.rules if place not in walk.ran]


def test_no_change_runs_what_it_does_not_concern(walk):
    assert not walk.wrong, "\n".join(walk.wrong)


def test_every_change_runs_all_that_it_concerns(walk):
    assert [place for place, rules in walk.rules.items() if rules and not walk.ran.get(place)] == []
    unseen = {name: declared - seen for (name, declared), seen in walk.of_declaration.items() if declared - seen}
    assert unseen == {}
