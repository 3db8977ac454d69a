# make book · make test: each sets up .venv first, and does only what is not done yet.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Threads that wait for each other sleep: on a busy machine, spinning ones slow small products
# thirtyfold. Benchmarks keep the default, which is faster where nothing else runs.
book test run: export OMP_WAIT_POLICY := passive

.PHONY: help book test env run paper serve plain audit clean
.PHONY: bench-srm bench-training bench-binder bench-pages bench-scale
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

book: env  ## execute the chapters and build the HTML book
	python -m shared_geometry.publishing book

test: env  ## lint, and run the whole test suite
	ruff check .
	ruff format --check .
	python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

env: .venv/ready _build/notebooks  ## set up .venv, and make the chapters' notebooks

run: env  ## papermill over the experiment: make run ARGS="-p dataset cifar10 -p preset fast"
	papermill book/experiment.ipynb _build/run.ipynb $(ARGS)

paper: env  ## the paper's forty networks at its own length, onto their pages: for a GPU
	for data in cifar10 cifar100; do for kind in convnet resnet18; do \
	    shared-geometry run --dataset $$data --architecture $$kind --preset paper \
	        --save _build/$$data-$$kind.nc && \
	    { [ $$kind = convnet ] || shared-geometry study blocks --dataset $$data \
	        --architecture $$kind --preset paper --save results/beyond/blocks-$$data-$$kind.nc; } && \
	    shared-geometry page _build/$$data-$$kind.nc || exit; done; done

serve: book  ## look at the book in a browser
	python -m http.server --bind 127.0.0.1 --directory _build/html 8000

plain: book  ## the same pages by plain Sphinx, newest versions: should Jupyter Book 1 end
	test -d .venv-plain || $(PYTHON) -m venv .venv-plain
	.venv-plain/bin/python -m pip install --disable-pip-version-check -q -U -e '.[plain-sphinx]'
	.venv-plain/bin/python -m sphinx -W --keep-going -q -c .github/plain-sphinx _build/stage _build/plain

audit:  ## known faults of the pinned versions; asks a database on the network
	test -d .venv-audit || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --disable-pip-version-check -q pip-audit
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

bench-srm: env  ## the SRM solver against BrainIAK; ARGS="--real --device cuda": on CIFAR-10, by a GPU
	python benchmarks/srm.py --growth $(ARGS)

bench-training: env  ## populations of networks against one network after the other
	python benchmarks/training.py

bench-binder: env  ## every chapter on one core and in 2 GB, as Binder has them
	python benchmarks/binder.py

bench-pages: book  ## how soon pages show their first figure, beside Plotly's own
	python benchmarks/pages.py

bench-scale: env  ## how time and memory of an analysis grow with its sizes
	python benchmarks/scale.py

clean:  ## remove what was built; networks and results under runs/ stay
	rm -rf _build book/*.ipynb

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

_build/notebooks: .venv/ready $(wildcard book/*.md) book/pages.yml _toc.yml
	$(BIN)/python -m shared_geometry.publishing notebooks
	mkdir -p $(@D) && touch $@
