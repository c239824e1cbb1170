# Every target does its own set-up: a machine needs Python 3.11 or later and make.
PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())")
BIN := .venv/bin
INSTALLED := .venv/.installed
# Most modules are never used: to compile all would take a minute. The others are compiled by their first import.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: help setup demo all test cluster-test lint docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup: $(INSTALLED) ## make .venv with the pinned requirements and the project

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit('Python 3.11 or later is needed, this is ' + sys.version.split()[0]) if sys.version_info < (3, 11) else None"
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements.txt
	$(PIP) --no-deps -e .
	@touch $@

demo: setup ## a first look: every system, one seed, the telling methods; no hub, no key, no GPU
	$(BIN)/pipestill make all --warm --cores $(CORES) --configfile config.yaml resources/presets/demo.yaml

all: setup ## run every study, method and seed of config.yaml
	$(BIN)/pipestill make all --warm --cores $(CORES)

test: setup ## run all tests; no network
	$(BIN)/python -m pytest -q -n $(CORES) --maxprocesses 8 --dist loadfile --no-loadscope-reorder tests/workflow tests/unit
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/e2e

cluster-test: setup ## run the tests on Slurm, or say what they need: Slurm itself, profiles/slurm/requirements.txt
	$(BIN)/python -m pytest -q -rs tests/cluster

lint: setup ## check style of code and workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

docs: setup ## write what is generated from the configuration's models
	$(BIN)/python -m pipestill.plan.reference

clean: ## remove results, logs and Snakemake's records; keep .venv
	rm -rf results logs .snakemake
