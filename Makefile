# Everything is done in .venv/, made here and installed from pyproject.toml; done again when that file changes.
#
#   PYTHON=...   the interpreter to make it with (default: the newest python3 that is 3.11 or later)
#   JOBS=...     processes that run tests (default: 2)
#   ARGS=...     more arguments for demo, test, quick and bench

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := mft protocols casemap scrubber storage
CODE := $(PACKAGES) tests bench docs
ARGS ?=
JOBS ?= 2

export PYTHON

.PHONY: help
help: ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r target text; do \
	    printf '  make %-10s %s\n' "$$target" "$$text"; \
	done

.PHONY: demo
demo: venv ## Tell the whole story with real clients, then keep serving (ARGS=--once: only the story)
	@.ci/packages demo
	@$(BIN)/mft demo $(ARGS)

.PHONY: test
test: venv-dev ## Run every test
	@.ci/packages test
	@.ci/azurite
	@.ci/tusjs
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS) || { status=$$?; [ $$status -eq 1 ] || exit $$status; \
	    echo "What failed runs once more, alone: on a starved machine a server may miss a deadline. Twice is a failure."; \
	    $(BIN)/pytest --last-failed --last-failed-no-failures none $(ARGS); }

.PHONY: quick
quick: venv-dev ## Run the tests that are quick
	@.ci/packages test
	@.ci/azurite
	@.ci/tusjs
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -q -m "not e2e and not slow" $(ARGS)

.PHONY: fuzz
fuzz: venv-dev ## Break files and packets of every kind at random, for some minutes (ARGS=-k zip: one of them)
	@$(BIN)/pytest tests/scrubber/test_fuzz.py tests/scrubber/test_compiled.py tests/fuzz --hypothesis-profile fuzz --timeout 3600 $(ARGS)

.PHONY: check
check: static quick ## Check format, lint, types and layers, and run the quick tests

.PHONY: static
static: format-check lint types layers ## Check format, lint, types and layers

.PHONY: format-check
format-check: venv-dev
	@$(BIN)/ruff format --check $(CODE)

.PHONY: lint
lint: venv-dev
	@$(BIN)/ruff check $(CODE)

.PHONY: types
types: venv-dev
	@$(BIN)/mypy

.PHONY: layers
layers: venv-dev
	@$(BIN)/lint-imports | sed -n '/^Contracts$$/,$$p'

.PHONY: fmt
fmt: venv-dev ## Put the code into form
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix --show-fixes $(CODE)

.PHONY: bench
bench: venv ## Measure against OpenSSH, nginx and openssl (ARGS=--help: what can be chosen)
	@.ci/packages demo
	@.ci/packages bench
	@$(BIN)/python -m bench $(ARGS)

.PHONY: venv
venv: ## Make .venv with what the server needs
	@.ci/venv run

.PHONY: venv-dev
venv-dev: ## Make .venv with what development needs besides
	@.ci/venv dev

.PHONY: clean
clean: ## Remove what was made, .venv and the demo's data too
	rm -rf $(VENV) var build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
