"""One set of pins: requirements.txt, and what conda environments take from it."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def pins():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert all(line.count("==") == 1 and not line.startswith("-") for line in lines)
    return dict(line.lower().split("==") for line in lines)


def test_conda_environments_have_the_same_pins():
    for path in sorted((ROOT / "envs").glob("*.yaml")):
        *_, packages = yaml.safe_load(path.read_text())["dependencies"]
        for pin in packages["pip"]:
            name, version = pin.lower().split("==")
            assert pins()[name] == version, f"{path.name}: {pin}"


def test_every_rule_names_an_environment_that_exists():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for line in path.read_text().splitlines():
            if "../envs/" in line:
                assert (ROOT / "envs" / Path(line.strip().strip('"')).name).is_file()
