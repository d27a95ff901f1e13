# Needs only make and Python 3.11 or later. `make` without a target lists the targets.

VENV := .venv
VENV_LOWEST := .venv-lowest
VENV_LAVA := .venv-lava

# Lava runs in its own Python 3.10. Without one, `make env` and `make demo` skip Lava and say so, and `make test`
# fails unless LAVA=0 is given.
LAVA ?= 1

# The Python that builds the environments; `make env PYTHON=/some/python` overrides the search. 3.11 comes first because
# it is the oldest Python with a build of every pinned version, and the pins were resolved and tested with it; a newer
# one may lack a build of some of them. Each candidate is run, since a name on PATH may be a broken shim.
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

# Lava's Python: the first of these that runs and is a 3.10 (or only PYTHON310=/some/python): python3.10 on PATH, those
# built by pyenv, one that uv has installed, and finally one that uv downloads.
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
	echo 'make: skipping Lava: no Python 3.10 on PATH, from pyenv or from uv (give one with PYTHON310=/path/to/python3.10)' >&2; \
	exit 1; \
fi
endef

# -qq: errors only. The pip in a fresh venv may be too old for --group, which 25.1 introduced.
PIP_INSTALL = python -m pip --disable-pip-version-check install -qq

.DEFAULT_GOAL := help
.PHONY: help env lava lava-if-possible demo docs tutorials test check-bounds lint graph format lowest mutants networks vectors fuzz kills sweeps paired installs interop sanafe silicon clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env: $(VENV)/.stamp lava-if-possible ## build .venv with everything for using, testing and linting, and .venv-lava (once)

lava: $(VENV_LAVA)/.stamp ## build .venv-lava, the Python 3.10 that runs Lava

lava-if-possible:
ifneq ($(LAVA),0)
	@{ $(MAKE) --silent --no-print-directory $(VENV_LAVA)/.stamp 2>&1 >&3 | grep -v '\*\*\*' >&2; } 3>&1 || true
endif

demo: env ## run `neurosam demo`: train, export, run, explain and verify a small network
	@$(VENV)/bin/neurosam demo

docs: $(VENV)/.stamp ## build the documentation into site/, warnings as errors: open site/index.html
	@$(VENV)/bin/python -m sphinx -W --keep-going -q -j auto -d build/doctrees docs site

tutorials: $(VENV)/.stamp ## run the tutorials; renew the outputs and the pictures (docs/assets) that they show
	@PYTHONPATH=tests $(VENV)/bin/python -m support.walkthrough docs/tutorials docs/assets
	@PYTHONPATH=tests $(VENV)/bin/python -m support.notebook docs/tutorials/notebook.ipynb

lint: env ## ruff (rules and format), mypy --strict, import contracts
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy --strict
	@$(VENV)/bin/lint-imports --no-logo

graph: env ## the rooms and the imports between them, as text and as docs/assets/architecture.svg; fails at a circle
	@$(VENV)/bin/python docs/architecture.py

# The tests are divided among processes, one for each core; more than 4 would each compile what the others compile.
PYTEST = $(VENV)/bin/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

ifeq ($(LAVA),0)
test: lint ## lint, then pytest (LAVA=0: without Lava's tests)
	@NEUROSAM_TEST_LAVA=0 $(PYTEST)
else
test: $(VENV_LAVA)/.stamp lint
	@NEUROSAM_TEST_LAVA=1 $(PYTEST)
endif

check-bounds: env ## the event back end's tests with its kernels compiled to check every memory access (debug build)
	@NEUROSAM_CHECK_BOUNDS=1 $(VENV)/bin/pytest tests/event tests/conformance

format: env ## let ruff fix what it can, and format
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

lowest: $(VENV_LOWEST)/.stamp ## pytest in .venv-lowest, which has the lower bound of every dependency
	@$(VENV_LOWEST)/bin/python -m pytest

mutants: env ## count the small changes to the code that its nearest tests miss (an hour or more; AREAS='quantise reader' SAMPLE=60)
	@PYTHONPATH=.:hw:benchmarks:tests $(VENV)/bin/python -m mutation $(AREAS) --sample $(or $(SAMPLE),60) $(if $(AGAIN),--again)

networks: env ## hold random networks over all options to the oracle, on every back end (minutes; NETWORKS=1500 SEED=0 ON_LAVA=40)
	@PYTHONPATH=.:hw:benchmarks:tests $(VENV)/bin/python -m support.conformance --networks $(or $(NETWORKS),1500) --seed $(or $(SEED),0) --lava $(or $(ON_LAVA),0)

vectors: env ## random networks through the benches of golden vectors, Verilog and C (minutes; needs iverilog; NETWORKS=200 SEED=0)
	@PYTHONPATH=.:hw:benchmarks:tests $(VENV)/bin/python -m support.vectors --networks $(or $(NETWORKS),200) --seed $(or $(SEED),0)

fuzz: env ## give damaged and hostile files to every reader; a fault is a crash, a hang, a traceback (FILES=20000 SEED=0)
	@PYTHONPATH=.:hw:benchmarks:tests $(VENV)/bin/python -m fuzz --files $(or $(FILES),20000) --seed $(or $(SEED),0) --keep build/fuzz

kills: env ## end commands at random moments by Ctrl-C, SIGTERM and SIGKILL: is anything lost or left (KILLS=100 SEED=0)
	@PYTHONPATH=.:hw:benchmarks:tests $(VENV)/bin/python -m kills --kills $(or $(KILLS),100) --seed $(or $(SEED),0)

sweeps: env ## 1,000 samples by processes and by a Dask cluster that loses a worker, and random kills: the same bits? (SAMPLES=1000 KILLS=20 SEED=0)
	@PYTHONPATH=.:hw:benchmarks:tests $(VENV)/bin/python -m sweeps --samples $(or $(SAMPLES),1000) --kills $(or $(KILLS),20) --seed $(or $(SEED),0)

installs: ## the wheel in fresh environments, for each Python and extra, a command of each (half an hour; INSTALL_PYTHONS=3.12 EXTRAS=none,viz)
	@$(FIND_PYTHON); $$python benchmarks/install/compare.py $(if $(INSTALL_PYTHONS),--pythons $(INSTALL_PYTHONS)) $(if $(EXTRAS),--extras $(EXTRAS))

interop: env ## other frameworks' networks, brought as they are: an environment for each, every spike compared (FRAMEWORKS=norse,sinabs)
	@$(VENV)/bin/python benchmarks/interop/compare.py --work .venv-peers $(if $(FRAMEWORKS),--frameworks $(FRAMEWORKS))

sanafe: env ## the cost model held against SANA-FE in an environment of its own: spikes, energies, times; docs/hardware/sanafe.md
	@$(VENV)/bin/python benchmarks/sana-fe/compare.py --work .venv-peers

silicon: env ## hold the cost model to measurements of chips that others published (a minute)
	@$(VENV)/bin/python benchmarks/silicon/compare.py

paired: env ## time the standard cases against another commit, interleaved: make paired BASE=main~1
	@$(VENV)/bin/python benchmarks/paired.py --base $(or $(BASE),HEAD~1)

clean: ## remove the environments, caches and built packages
	rm -rf $(VENV) $(VENV_LOWEST) $(VENV_LAVA) build dist site jupyter_execute .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find neurosam hw tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A recipe removes its stamp first and writes it last. So an interrupted build or update leaves no stamp, and the next
# `make` starts from an empty environment, since a half-installed pip cannot repair itself.
$(VENV)/.stamp: pyproject.toml constraints.txt
	@if [ ! -e $@ ]; then $(FIND_PYTHON); echo "building $(VENV) with $$python"; $$python -m venv --clear $(VENV); fi
	@rm -f $@
	@$(VENV)/bin/$(PIP_INSTALL) 'pip>=25.1'
	@$(VENV)/bin/$(PIP_INSTALL) --constraint constraints.txt --editable '.[demo,nir,events,frames,hw,dask]' --group test --group lint --group docs
	@touch $@

$(VENV_LOWEST)/.stamp: pyproject.toml constraints-lowest.txt
	@if [ ! -e $@ ]; then $(FIND_PYTHON); echo "building $(VENV_LOWEST) with $$python"; $$python -m venv --clear $(VENV_LOWEST); fi
	@rm -f $@
	@$(VENV_LOWEST)/bin/$(PIP_INSTALL) 'pip>=25.1'
	@$(VENV_LOWEST)/bin/$(PIP_INSTALL) --constraint constraints-lowest.txt --editable '.[demo,nir,events,frames,hw,dask]' --group test
	@touch $@

# `make test` learns from the exit status of make that Lava is missing; `make env` shows only this one line.
$(VENV_LAVA)/.stamp: constraints-lava.txt
	@if [ ! -e $@ ]; then $(FIND_PYTHON310); echo "building $(VENV_LAVA) with $$python"; $$python -m venv --clear $(VENV_LAVA); fi
	@rm -f $@
	@$(VENV_LAVA)/bin/$(PIP_INSTALL) --constraint constraints-lava.txt 'lava-nc==0.10.0' 'numpy<2' h5py || \
		{ echo 'make: skipping Lava: its packages cannot be installed (see above)' >&2; exit 1; }
	@touch $@
