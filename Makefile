# Every target is one command a contributor or CI runs. `make help` lists them.
# Each needs only Python 3.11 or newer with venv: the environment in .venv is made on first use
# and again when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS_STAMP := $(VENV)/.installed-peers
EVENTS ?= 1M
SECONDS ?= 30
ALONE := not integration and not e2e
# Real kernels and services on a busy machine: a failed test runs again, and the summary names it.
AGAIN := --reruns 2 -r aR
PACKAGES := agent analyzer rules
CODE := $(wildcard $(PACKAGES) benchmarks tests)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format types bench bench-agent bench-engine bench-service fuzz docs services clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with everything that the other targets need

demo: $(STAMP) ## Assess this host: broker, agent, analyzer, findings in about a minute
	@$(BIN)/python -m analyzer.demo

test: $(STAMP) ## Fast tests: unit, property, contract; no service, no network
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 -m "$(ALONE)"

test-all: $(STAMP) ## All tests: those of make test with the coverage floors, then with real services
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 -m "$(ALONE)" --cov $(AGAIN)
	@echo "rules/ and agent/spool.py have a floor of their own:"
	@$(BIN)/python -m coverage report --include='rules/*,agent/spool*' --fail-under=100
	@echo "With the kernel and real services, one after another:"
	@$(BIN)/python -m pytest -q -m integration --durations=10 $(AGAIN)
	@echo "Whole processes, two files at a time, as they mostly wait:"
	@$(BIN)/python -m pytest -q -m e2e -n 2 --dist loadfile --durations=10 $(AGAIN)

lint: $(STAMP) ## Style, formatting, import layers, spelling, rule files
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell
	@$(BIN)/validate-pyproject pyproject.toml
	@$(BIN)/python -m rules check

format: $(STAMP) ## Format the code and repair what ruff can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

types: $(STAMP) ## Strict type check of packages, tests and benchmarks
	@$(BIN)/mypy $(CODE)

bench: $(STAMP) ## Run every benchmark; results go to benchmarks/results
	@set -e; for script in benchmarks/bench_*.py; do \
		echo "== $$script"; $(BIN)/python "$$script"; \
	done

bench-agent: $(PEERS_STAMP) ## Measure the agent next to others: what it sees and costs (as root: with kernel events)
	@set -e; for script in watchers agent sockets decode; do \
		echo "== bench_$$script.py"; $(BIN)/python "benchmarks/bench_$$script.py"; \
	done

bench-engine: $(PEERS_STAMP) ## Measure the engine next to others: make bench-engine EVENTS=10e6
	@$(BIN)/python benchmarks/bench_engine.py --events $(EVENTS)

bench-service: $(STAMP) ## Measure ingest, the lag to a finding, and the AWS API over a million findings
	@set -e; for script in ingest lag service; do \
		echo "== bench_$$script.py"; $(BIN)/python "benchmarks/bench_$$script.py"; \
	done

fuzz: $(STAMP) ## Fuzz each decoder by coverage, then 20,000 examples a property; takes long
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]' || true
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS)
	@$(BIN)/python -m pytest -q --hypothesis-profile=fuzz --timeout=3600 tests/property

docs: $(STAMP) ## Write the generated parts of the documentation again
	@$(BIN)/python -m rules schema --write
	@$(BIN)/python -m agent.aws_build --write

services: ## Install what test-all talks to (Debian packages, with sudo unless root)
	@.ci/services

clean: ## Remove caches, builds and reports; .venv stays
	@rm -rf build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache
	@rm -rf .mypy_cache .pytest_cache .ruff_cache
	@find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Proctor needs Python 3.11 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing Proctor and its tools into $(VENV) (about a minute, once) ..."
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python cannot create $(VENV). On Debian: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[analyzer,dev]'
	@touch $@

$(PEERS_STAMP): $(STAMP)
	@echo "Installing the engines that ours is measured against into $(VENV) (about a minute, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[analyzer,bench]'
	@touch $@
