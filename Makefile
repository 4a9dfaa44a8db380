# sercli: the commands of a newcomer, a developer and CI.
#
#   make demo      install, then extract, train, sweep and report on the embedded corpus
#   make test      install, then the tests
#   make test-all  install, then all tests, exhaustive products of parts included
#   make check     install, then ruff, mypy, import-linter and codespell
#   make docs      install mkdocs-material, then build the documentation as a site in build/site
#   make tour      install, then run the commands of README.md and docs/tour.md and write their output
#
# PYTHON chooses the interpreter (3.11 or newer), as in: make demo PYTHON=python3.12

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
DONE   := $(VENV)/.installed

# Each process of a command or a test loads compiled modules, also where the shell forbids them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test test-all check docs tour clean
.DELETE_ON_ERROR:

install: $(DONE)

$(DONE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# The sweep finds the run of the second command and trains only the other trials.
demo: $(DONE)
	$(BIN)/sercli extract
	$(BIN)/sercli train model=iaan_small trainer=demo activation=tanh experiment=demo
	$(BIN)/sercli sweep --plan demo
	$(BIN)/sercli report demo

# Four processes for two cores: some tests wait for a server or for a killed process.
test: $(DONE)
	$(BIN)/pytest --processes 4

test-all: $(DONE)
	$(BIN)/pytest --processes 4 -m ''

check: $(DONE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers auto
	$(BIN)/lint-imports
	$(BIN)/codespell sercli benchmarks conf docs sweeps *.md

docs: $(DONE)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt 'mkdocs-material<10'
	$(BIN)/mkdocs build --strict --quiet

tour: $(DONE)
	$(BIN)/python docs/make_tour.py

clean:
	rm -rf $(VENV) dist build data store runs .tour
