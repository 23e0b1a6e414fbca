# Two commands matter: `make lab` opens the course, `make test` runs every test. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
# More workers than cores: they wait for kernels, browsers and graders. Each takes up to 1.7 GB, and its notebook 2.
WORKERS ?= 3
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# What each test took is written here, and tests/conftest.py deals the tests out by what was recorded of it.
SECONDS := build/seconds
# Files are dealt out in the order of collection, which tests/conftest.py makes: xdist's own puts the longest last.
# nbval has its own processes, in tests/test_notebooks.py; here its import would cost each worker a second.
RUN = -m pytest -p no:nbval -n $(WORKERS) --dist loadfile --no-loadscope-reorder -o junit_duration_report=total
PYTEST = $(BIN)/python $(RUN)
# Three environments in one, each with a stamp: the course, the quick tests, and the course with all tests.
LAB := $(VENV)/.lab
LIGHT := $(VENV)/.light
STAMP := $(VENV)/.installed
# `make lab TENSORFLOW=tensorflow-cpu` takes TensorFlow without CUDA, 0.6 GB less; it is made for Linux on x86.
# What an environment was made with it keeps: the two packages hold the same files and cannot stand side by side.
SITE := $(VENV)/lib/python3*/site-packages
TENSORFLOW ?= $(if $(wildcard $(SITE)/tensorflow_cpu-*),tensorflow-cpu,tensorflow)
ifeq ($(TENSORFLOW),tensorflow-cpu)
FOR_LAB = $(if $(wildcard $(SITE)/tensorflow-*),$(error tensorflow-cpu needs a new environment: first make clean))\
          $(PIP) --requirement binder/requirements.txt && $(PIP) --no-deps --editable .
FOR_CHECK = $(FOR_LAB) && $(PIP) --group check
else
FOR_LAB = $(PIP) --editable '.[lab,exercises,text,control]'
FOR_CHECK = $(PIP) --group check --editable '.[text]'
endif
# A test starts many a Python, and each of them would compile tlkit anew.
unexport PYTHONDONTWRITEBYTECODE
# These compile large networks again and again, which TensorFlow gives no memory back for: a run, and so processes, of their own.
LARGE := tests/test_backbones.py tests/test_text.py tests/test_text_toolkit.py tests/test_freeze_lab.py tests/test_export.py

.PHONY: lab fetched demo test bank check elsewhere lowest newest scale federated notebooks exercises docs links bench lint dist clean
.DEFAULT_GOAL := lab

define environment
$(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --quiet --upgrade pip
endef

# What a learner needs.
$(LAB): pyproject.toml constraints.txt
	$(environment)
	$(FOR_LAB)
	touch $(LAB)

# What `make check` needs, and no more.
$(LIGHT): pyproject.toml constraints.txt
	$(environment)
	$(FOR_CHECK)
	touch $(LIGHT)

$(STAMP): $(LAB)
	$(PIP) --group test --group docs
	touch $(LIGHT) $(STAMP)

# What the package cannot hold, 260 MB; without a network the notebooks that need it say so, and all the others work.
fetched: $(LAB)  ## fetch the text encoder, its sentences, photographs of clothes, spoken digits and blood cells, once
	-$(BIN)/tlkit fetch text
	-$(BIN)/tlkit fetch clothes
	-$(BIN)/tlkit fetch speech
	-$(BIN)/tlkit fetch cells

lab: $(LAB) fetched  ## open the course in JupyterLab
	$(BIN)/tlkit lab

demo: $(LAB)  ## the experiment on the command line: does transfer help?
	$(BIN)/tlkit demo

test: $(STAMP) lint fetched  ## everything, notebooks and wheel included
	failed=0; \
	$(PYTEST) --junitxml=$(SECONDS)/large.xml -m "not bank" $(LARGE) || failed=1; \
	$(PYTEST) --junitxml=$(SECONDS)/rest.xml -m "not bank" $(addprefix --ignore=,$(LARGE)) || failed=1; \
	$(BIN)/python tools/seconds_of_tests.py $(SECONDS)/large.xml $(SECONDS)/rest.xml; \
	exit $$failed

bank: $(STAMP) fetched  ## what takes too long for `make test`: further answers, a crowd of 200 submissions, long notebooks
	$(PYTEST) --junitxml=$(SECONDS)/bank.xml -m bank
	$(BIN)/python tools/seconds_of_tests.py $(SECONDS)/bank.xml

# These do not wait for anything: one worker for each of two cores.
check: WORKERS = 2
check: $(LIGHT)  ## the quick part, for each change: no notebook, no browser, little training
	$(BIN)/python -m ruff check .
	$(PYTEST) -m "not slow"

# Other processors on this one: other kernels for convolutions and for products of matrices, another number of threads.
NUMERIC := $(LARGE) $(addprefix tests/test_,$(addsuffix .py,adaptation audit cache captions diagnose efficient efficientnet_lite \
           evaluation experiment explain features fine_tune freezing gradients heads kept_graphs kinds_of_networks multiply_adds \
           pretraining probe selection training transferability))
THREADS = OMP_NUM_THREADS=$1 TF_NUM_INTRAOP_THREADS=$1 TF_NUM_INTEROP_THREADS=$1
PROCESSORS = "TF_ENABLE_ONEDNN_OPTS=0 $(call THREADS,1)" "ONEDNN_MAX_CPU_ISA=AVX2 $(call THREADS,4)" \
             "ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Haswell $(call THREADS,1)"

elsewhere: $(STAMP) fetched  ## what computes, and each notebook, as on processors that round otherwise
	failed=0; for settings in $(PROCESSORS); do \
	    echo "$$settings"; \
	    env $$settings $(PYTEST) -m "not bank" $(NUMERIC) || failed=1; \
	    env $$settings $(PYTEST) -m "not bank" -k test_strict_nbval tests/test_notebooks.py || failed=1; \
	done; exit $$failed

# What these need in turn is the newest: old versions use what it is going to drop, and are warned.
lowest:  ## the quick tests with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv --clear build/lowest
	build/lowest/bin/python -m pip install --quiet uv
	build/lowest/bin/python -m uv pip install --quiet --python build/lowest --resolution lowest-direct --group check --editable '.[text]'
	build/lowest/bin/python $(RUN) -m "not slow" -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning

newest:  ## the quick tests with the newest versions, pre-releases of Keras included
	$(PYTHON) -m venv --clear build/newest
	build/newest/bin/python -m pip install --quiet --upgrade pip
	build/newest/bin/python -m pip install --quiet --group check --editable '.[text]'
	build/newest/bin/python -m pip install --quiet --pre --upgrade keras
	build/newest/bin/python $(RUN) -m "not slow"

# Ray is large and Flower wants older versions, so each has an environment of its own. `make test` skips these tests.
scale:  ## the tests of Ray: features and grading on two nodes, a class of 200, a node that dies
	$(PYTHON) -m venv --clear build/scale
	build/scale/bin/python -m pip install --quiet --upgrade pip
	build/scale/bin/python -m pip install --quiet --constraint constraints.txt --group check --editable '.[scale,exercises,text]'
	build/scale/bin/python -m pytest tests/test_scale.py

federated:  ## the tests of Flower: a simulation, a server and clients as processes, clients that die, lie or are late
	$(PYTHON) -m venv --clear build/federated
	build/federated/bin/python -m pip install --quiet --upgrade pip
	build/federated/bin/python -m pip install --quiet --constraint constraints-federated.txt --group check --editable '.[federated]'
	build/federated/bin/python -m pytest -W ignore::DeprecationWarning tests/test_federated.py

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

dist: $(STAMP)  ## wheel and sdist, in dist/; with TAG=v1.2.3 it first asks whether this is that release
	$(BIN)/python tools/check_release.py $(TAG)
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
