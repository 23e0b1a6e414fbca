# Two commands matter: `make lab` opens the course, `make test` runs every test. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
WORKERS ?= 2
STAMP := $(VENV)/.installed

.PHONY: lab demo test bank check notebooks exercises bench lint clean
.DEFAULT_GOAL := lab

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab,test,exercises]'
	touch $(STAMP)

lab: $(STAMP)  ## open the course in JupyterLab
	$(BIN)/tlkit lab

demo: $(STAMP)  ## the experiment on the command line: does transfer help?
	$(BIN)/tlkit demo

test: $(STAMP) lint  ## everything, notebooks and wheel included
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not bank"

bank: $(STAMP)  ## the answers to exercises that `make test` leaves out
	$(BIN)/python -m pytest -m bank tests/exercises

check: $(STAMP)  ## the quick part, under a minute
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

notebooks: $(STAMP)  ## build notebooks/*.ipynb from notebooks/source/*.py, outputs included
	$(BIN)/python tools/build_notebooks.py

exercises: $(STAMP)  ## build the exercises and their release for students
	$(BIN)/python tools/build_exercises.py --release

bench: $(STAMP)  ## speed, as ratios measured in one run
	$(BIN)/python -m benchmarks

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
