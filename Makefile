# sercli: what a newcomer, a developer and CI type.
#
#   make demo    install, then extract, train, sweep and report on the embedded corpus
#   make test    install, then all tests
#   make check   install, then ruff, mypy and import-linter

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
DONE   := $(VENV)/.installed

.PHONY: install demo test check clean
.DELETE_ON_ERROR:

install: $(DONE)

$(DONE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

test: $(DONE)
	$(BIN)/pytest -n 2

check: $(DONE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) dist build data store runs
