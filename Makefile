# Every command of this repository. `make` alone lists them.
#
# Nothing needs to be installed first but Python 3.11 or later: the targets set up what they need under
# .venv, once, and again only when pyproject.toml or uv.lock changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
ARGS ?=
export PYTHON ?= python3
# Test processes at once. More than the cores only makes the PostgreSQL tests wait for each other.
WORKERS ?= 2

INPUTS := pyproject.toml uv.lock scripts/setup.sh
CLIENTS := tests/clients/openid tests/clients/provider tests/clients/saml tests/clients/casdoor
PYTHON_CLIENTS := tests/clients/casdoor-python
PROVIDER := benchmarks/provider

##@ Use it
.PHONY: serve
serve: .venv/.ready ## Start the identity server here (ARGS="--port 9000" and so on are passed on)
	@echo "→ starting: iam serve $(ARGS)"
	@exec $(BIN)/iam serve $(ARGS)

##@ Work on it
.PHONY: test
test: tools check ## Check everything, then run every test (ARGS="-k name" and so on go to pytest)
	@echo "→ tests"
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

.PHONY: check
check: .venv/.ready-tests ## Style, formatting, types and layers: seconds, no test is run
	@echo "→ style"
	@$(BIN)/ruff check
	@echo "→ formatting"
	@$(BIN)/ruff format --check
	@echo "→ types"
	@$(BIN)/mypy
	@echo "→ layers"
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: .venv/.ready-tests ## Repair style and formatting where a machine can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: bench
bench: tools $(PROVIDER)/node_modules/.ready ## Measure speed; prints a table and writes benchmarks/results.json
	@echo "→ benchmarks"
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: screenshots
screenshots: tools .venv/.ready-tests ## Take the pictures of the console that the documents show
	@echo "→ screenshots"
	@PYTHONPATH=. $(BIN)/python scripts/screenshots.py

##@ Set up (the others do this by themselves)
.PHONY: setup
setup: .venv/.ready-tests ## Install the server and the test tools into .venv
	@echo "→ ready: $(BIN)/iam"

.PHONY: tools
tools: $(CLIENTS:=/node_modules/.ready) $(PYTHON_CLIENTS:=/.venv/.ready) ## Make sure of databases, Chromium, nginx, Caddy, Apache and Node for the tests
	@scripts/test-tools.sh

.PHONY: clean
clean: ## Remove what was set up and every cache (data stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis \
		$(CLIENTS:=/node_modules) $(PYTHON_CLIENTS:=/.venv) $(PROVIDER)/node_modules

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo

# The stamps: what is set up. Setting up for the tests is also setting up for serving, so a developer's
# `make serve` never takes the test tools away again.
.venv/.ready: $(INPUTS)
	@scripts/setup.sh serve

.venv/.ready-tests: $(INPUTS)
	@scripts/setup.sh tests

$(CLIENTS:=/node_modules/.ready) &: $(CLIENTS:=/package-lock.json) .venv/.ready-tests
	@scripts/setup.sh clients

$(PYTHON_CLIENTS:=/.venv/.ready): %/.venv/.ready: %/uv.lock .venv/.ready-tests
	@scripts/setup.sh python-clients

$(PROVIDER)/node_modules/.ready: $(PROVIDER)/package-lock.json .venv/.ready-tests
	@scripts/setup.sh provider
