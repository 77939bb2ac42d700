# Each target sets up what it needs: a virtual environment in .venv, made with venv and pip alone.
# `make PYTHON=python3.13 VENV=.venv313 test` takes another Python.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Nothing that pip would like to say about itself.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help demo demo-nightly test check fix bench bench-page budget compare torture migration docs wheel clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/installed-test ## Run the census of Python's library six times and check what ran again
	$(BIN)/python examples/census/demo.py $(ARGS)

demo-nightly: $(VENV)/installed-test ## Run four nights of a small climate archive and check what ran again
	$(BIN)/python examples/nightly/demo.py $(ARGS)

test: $(VENV)/installed-check ## Run all tests on all cores (ARGS="-n0 tests/unit -k hash" for some on one)
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(ARGS)

check: $(VENV)/installed-check ## Ask ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.:backend $(BIN)/lint-imports

fix: $(VENV)/installed-check ## Let ruff put right what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-test ## Measure against the promised numbers
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-page: $(VENV)/installed-test ## Write docs/benchmarks.md and its charts from the last figures
	$(BIN)/python benchmarks/page.py $(ARGS)

budget: $(VENV)/installed-test ## Count the instructions of a call, and make them the budget that tests hold
	$(BIN)/python benchmarks/instructions.py --write $(ARGS)

compare: $(VENV)/installed-test ## Count stale results and needless reruns over the corpus of edits, beside others
	$(BIN)/python benchmarks/compare_fingerprints.py --write $(ARGS)

torture: $(VENV)/installed-check ## Run the long tests too: kill -9 in a loop, large graphs, many processes
	TASKGRAPH_TORTURE=1 $(BIN)/python -m pytest -q $(ARGS)

migration: $(VENV)/installed-test ## Draft a migration from the models: make migration m="add run notes"
	@test -n "$(m)" || { echo 'Say what it does: make migration m="add run notes"' >&2; exit 2; }
	@rm -f $(VENV)/draft.db
	$(BIN)/alembic -x db=sqlite:///$(VENV)/draft.db upgrade head
	$(BIN)/alembic -x db=sqlite:///$(VENV)/draft.db revision --autogenerate -m "$(m)" \
		--rev-id "$$(printf %04d $$(( $$(ls migrations/versions/[0-9]*.py | wc -l) + 1 )))"

docs: $(VENV)/installed-test ## Write the generated pages anew
	$(BIN)/python docs/make_map.py

wheel: $(VENV)/installed-build ## Build sdist and wheel in dist/
	$(BIN)/python -m build

clean: ## Remove the environment and all that was built
	rm -rf $(VENV) dist build examples/census/work .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# The stamps carry the time of the last installation; pyproject.toml says what is installed.

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say which with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/pip-is-new: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/installed-%: pyproject.toml migrations/hatch_build.py $(VENV)/pip-is-new
	$(BIN)/python -m pip install --quiet --editable . --group test --group $*
	@touch $@
