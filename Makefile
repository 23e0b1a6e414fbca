# Two commands matter: `make lab` opens the course, `make test` runs every test. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
WORKERS ?= 2
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# What each test took is written here, and tests/conftest.py deals the tests out by what was recorded of it.
SECONDS := build/seconds
# Files are dealt out in the order of collection, which tests/conftest.py makes: xdist's own puts the longest last.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -o junit_duration_report=total
STAMP := $(VENV)/.installed
LIGHT := $(VENV)/.light
# These compile large networks again and again, which TensorFlow gives no memory back for: a run, and so processes, of their own.
LARGE := tests/test_backbones.py tests/test_text.py tests/test_text_toolkit.py tests/test_freeze_lab.py tests/test_export.py

.PHONY: lab fetched demo test bank check notebooks exercises docs links bench lint clean
.DEFAULT_GOAL := lab

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(PIP) --group test --group docs --editable '.[lab,exercises,text]'
	touch $(LIGHT) $(STAMP)

# What `make check` needs, a part of the above; where that was installed nothing is left to do.
$(LIGHT): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(PIP) --group check --editable '.[text]'
	touch $(LIGHT)

# What the package cannot hold, 200 MB; without a network the notebooks that need it say so, and all the others work.
fetched: $(STAMP)  ## fetch the text encoder, its sentences and the photographs of clothes, once
	-$(BIN)/tlkit fetch text
	-$(BIN)/tlkit fetch clothes

lab: $(STAMP) fetched  ## open the course in JupyterLab
	$(BIN)/tlkit lab

demo: $(STAMP)  ## the experiment on the command line: does transfer help?
	$(BIN)/tlkit demo

test: $(STAMP) lint fetched  ## everything, notebooks and wheel included
	$(PYTEST) --junitxml=$(SECONDS)/large.xml -m "not bank" $(LARGE)
	$(PYTEST) --junitxml=$(SECONDS)/rest.xml -m "not bank" $(addprefix --ignore=,$(LARGE))
	$(BIN)/python tools/seconds_of_tests.py $(SECONDS)/large.xml $(SECONDS)/rest.xml

bank: $(STAMP) fetched  ## what takes too long for `make test`: further answers, a crowd of 200 submissions, long notebooks
	$(PYTEST) --junitxml=$(SECONDS)/bank.xml -m bank
	$(BIN)/python tools/seconds_of_tests.py $(SECONDS)/bank.xml

check: $(LIGHT)  ## the quick part, for each change: no notebook, no browser, little training
	$(BIN)/python -m ruff check .
	$(PYTEST) -m "not slow"

notebooks: $(STAMP)  ## draw the pictures of ideas, and build notebooks/*.ipynb from notebooks/source/*.py, outputs included
	$(BIN)/python tools/draw_ideas.py
	$(BIN)/python tools/build_notebooks.py

exercises: $(STAMP)  ## build the exercises and their release for students
	$(BIN)/python tools/build_exercises.py --release

# Not --quiet: that would let warnings pass. The variable silences Material's advertisement of its successor.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(STAMP)  ## the documentation as a site, in build/site
	$(BIN)/python -m mkdocs build --config-file docs/mkdocs/mkdocs.yml

links: $(STAMP)  ## ask each address in the documentation whether it is still there (needs a network)
	$(BIN)/python tools/check_links.py

bench: $(STAMP)  ## speed, as ratios measured in one run
	$(BIN)/python -m benchmarks

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
