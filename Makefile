# Needs only make and Python 3.11 or later. `make` alone lists the targets.

VENV := .venv
VENV_LOWEST := .venv-lowest
VENV_LAVA := .venv-lava

# Lava runs in a Python 3.10 of its own. Without one, `make env` and `make demo` leave Lava out and say so, and `make test`
# fails unless it is told LAVA=0.
LAVA ?= 1

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

# Lava's Python: the first of these that runs and is a 3.10 (or PYTHON310=/some/python alone): python3.10 on PATH, those
# that pyenv has built, the one that uv has or, failing all others, fetches.
PYTHON310 ?=

define FIND_PYTHON310
is310() { "$$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; }; \
candidates() { \
	if [ -n '$(PYTHON310)' ]; then echo '$(PYTHON310)'; return; fi; \
	echo python3.10; \
	for v in $$(pyenv versions --bare 2>/dev/null | grep '^3\.10\.'); do echo "$$(pyenv prefix $$v)/bin/python"; done; \
	uv python find 3.10 2>/dev/null; \
}; \
first310() { for p in $$(candidates); do if is310 "$$p"; then echo "$$p"; return; fi; done; }; \
python=$$(first310); \
if [ -z "$$python" ] && [ -z '$(PYTHON310)' ] && uv python install 3.10 >/dev/null 2>&1; then python=$$(first310); fi; \
if [ -z "$$python" ]; then \
	echo 'make: the Lava part is left out: no Python 3.10 on PATH, from pyenv or from uv (PYTHON310=/path/to/python3.10 names one)' >&2; \
	exit 1; \
fi
endef

# Twice -q: errors only. The version in a fresh venv may be too old for --group (25.1 brought it).
PIP_INSTALL = python -m pip --disable-pip-version-check install -qq

.DEFAULT_GOAL := help
.PHONY: help env lava lava-if-possible demo test lint format lowest mutants clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env: $(VENV)/.stamp lava-if-possible ## build .venv with all that using, testing and linting needs, and .venv-lava (once)

lava: $(VENV_LAVA)/.stamp ## build .venv-lava: the Python 3.10 that runs Lava

lava-if-possible:
ifneq ($(LAVA),0)
	@{ $(MAKE) --silent --no-print-directory $(VENV_LAVA)/.stamp 2>&1 >&3 | grep -v '\*\*\*' >&2; } 3>&1 || true
endif

demo: env ## run `neurosam demo`: train, export, run, explain and verify a small network
	@$(VENV)/bin/neurosam demo

lint: env ## ruff (rules and format), mypy --strict, import contracts
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy --strict
	@$(VENV)/bin/lint-imports --no-logo

ifeq ($(LAVA),0)
test: lint ## everything CI runs: lint, then pytest (LAVA=0: without Lava's tests)
	@NEUROSAM_TEST_LAVA=0 $(VENV)/bin/pytest
else
test: $(VENV_LAVA)/.stamp lint
	@NEUROSAM_TEST_LAVA=1 $(VENV)/bin/pytest
endif

format: env ## let ruff mend what it can, and format
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

lowest: $(VENV_LOWEST)/.stamp ## pytest in .venv-lowest, which holds the lower bound of every dependency
	@$(VENV_LOWEST)/bin/python -m pytest

mutants: env ## count the small changes to the code that its nearest tests miss (an hour or more; AREAS='quantise reader' SAMPLE=60)
	@PYTHONPATH=.:hw:benchmarks:tests $(VENV)/bin/python -m mutation $(AREAS) --sample $(or $(SAMPLE),60) $(if $(AGAIN),--again)

clean: ## remove the environments, caches and built packages
	rm -rf $(VENV) $(VENV_LOWEST) $(VENV_LAVA) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
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

# The status of make tells `make test` that Lava is missing; the one line is all that `make env` shows of it.
$(VENV_LAVA)/.stamp: constraints-lava.txt
	@if [ ! -e $@ ]; then $(FIND_PYTHON310); echo "building $(VENV_LAVA) with $$python"; $$python -m venv --clear $(VENV_LAVA); fi
	@rm -f $@
	@$(VENV_LAVA)/bin/$(PIP_INSTALL) --constraint constraints-lava.txt 'lava-nc==0.10.0' 'numpy<2' h5py || \
		{ echo 'make: the Lava part is left out: its packages cannot be installed (see above)' >&2; exit 1; }
	@touch $@
