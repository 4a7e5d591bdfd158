# Two commands to know: `make demo` and `make test`. Each prepares what it needs, once.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help demo test slow check docs bench

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

demo: $(VENV)/.demo-ready ## train, forget, and see the price on one page
	@$(BIN)/limen demo

test: $(VENV)/.test-ready ## the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

slow: $(VENV)/.test-ready ## the tests that take more than two seconds each
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

check: $(VENV)/.check-ready ## formatting, lint, types, and which floor may import which
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.docs-ready ## the documentation; a warning is an error
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.test-ready ## speed and memory of the hot paths
	@set -e; for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script"; done

# One stamp for each set of tools: while it is newer than pyproject.toml there is nothing to install.

$(VENV)/.demo-ready: pyproject.toml | $(VENV)/.made
	@echo "installing limen into $(VENV); the first time takes some minutes"
	@$(PIP) install --editable '.[all]'
	@touch $@

$(VENV)/.%-ready: pyproject.toml | $(VENV)/.made
	@echo "installing limen and its $* tools into $(VENV); the first time takes some minutes"
	@$(PIP) install --editable '.[all]' --group $*
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "limen needs Python 3.11 or newer, which '$(PYTHON)' is not; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@
