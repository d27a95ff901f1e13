# Needs only make and Python 3.11 or later. `make` alone lists the targets.

VENV := .venv
VENV_LOWEST := .venv-lowest

# The Python that builds the environments: `make env PYTHON=/some/python` overrides the search. 3.11 comes first because
# it is the oldest Python with a build of every pinned version, and the one that the pins were resolved and tested with;
# a newer one may lack a build of one of them. Each candidate is run, since a name on PATH may be a shim that leads nowhere.
PYTHON ?=
PYTHONS = $(if $(PYTHON),$(PYTHON),python3.11 python3 python3.12 python3.13)

define FIND_PYTHON
python=; for p in $(PYTHONS); do \
	if $$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$p; break; fi; \
done; \
if [ -z "$$python" ]; then \
	echo 'make: no Python 3.11 or later with venv and ensurepip among: $(PYTHONS). Install one, or name it: make PYTHON=/path/to/python3' >&2; \
	exit 1; \
fi
endef

# Twice -q: errors only. The version in a fresh venv may be too old for --group (25.1 brought it).
PIP_INSTALL = python -m pip --disable-pip-version-check install -qq

.DEFAULT_GOAL := help
.PHONY: help env demo test lint format lowest clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env: $(VENV)/.stamp ## build .venv with everything needed to use, test and lint neurosam (once; then a no-op)

demo: env ## run `neurosam demo`: train, export, run, explain and verify a small network
	@$(VENV)/bin/neurosam demo

lint: env ## ruff (rules and format), mypy --strict, import contracts
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy --strict
	@$(VENV)/bin/lint-imports --no-logo

test: lint ## everything CI runs: lint, then pytest
	@$(VENV)/bin/pytest

format: env ## let ruff mend what it can, and format
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

lowest: $(VENV_LOWEST)/.stamp ## pytest in .venv-lowest, which holds the lower bound of every dependency
	@$(VENV_LOWEST)/bin/python -m pytest

clean: ## remove the environments, caches and built packages
	rm -rf $(VENV) $(VENV_LOWEST) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find neurosam hw tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A stamp is the last thing its recipe writes and the first it removes: a build or an update that was interrupted leaves
# none, and the next `make` then starts from an empty environment, since half an installed pip cannot mend itself.
$(VENV)/.stamp: pyproject.toml constraints.txt
	@if [ ! -e $@ ]; then $(FIND_PYTHON); echo "building $(VENV) with $$python"; $$python -m venv --clear $(VENV); fi
	@rm -f $@
	@$(VENV)/bin/$(PIP_INSTALL) 'pip>=25.1'
	@$(VENV)/bin/$(PIP_INSTALL) --constraint constraints.txt --editable '.[demo]' --group test --group lint
	@touch $@

$(VENV_LOWEST)/.stamp: pyproject.toml constraints-lowest.txt
	@if [ ! -e $@ ]; then $(FIND_PYTHON); echo "building $(VENV_LOWEST) with $$python"; $$python -m venv --clear $(VENV_LOWEST); fi
	@rm -f $@
	@$(VENV_LOWEST)/bin/$(PIP_INSTALL) 'pip>=25.1'
	@$(VENV_LOWEST)/bin/$(PIP_INSTALL) --constraint constraints-lowest.txt --editable '.[demo]' --group test
	@touch $@
