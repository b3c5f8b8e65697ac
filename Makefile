# make demo: install and search handwritten digits.   make test: everything that CI checks.
# make simulate SEEDS=100000: live so many histories of a failing world (tests/simulator), or SEEDS=123:124 again.
# make bench-efficiency: how many epochs Shoal and its rivals need, in a simulated cluster (about an hour).
# make studies: run every ready-made study and write their scores into docs/studies.md (half an hour).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo install test test-all simulate bench-efficiency lint studies clean

demo: $(VENV)/.installed
	$(BIN)/shoal search quickstart

install: $(VENV)/.installed

# Two processes of tests. JOBS=0: in one, for a debugger.
JOBS ?= 2
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.developing lint
	$(PYTEST)

test-all: $(VENV)/.developing lint
	SHOAL_REQUIRE_BROWSER=1 $(PYTEST) -m "not gpu"

SEEDS ?= 2000
simulate: $(VENV)/.developing
	$(BIN)/python -m tests.simulator $(SEEDS)

bench-efficiency: $(VENV)/.developing
	$(BIN)/python -m benchmarks.efficiency.run

studies: $(VENV)/.installed
	$(BIN)/python benchmarks/studies.py

lint: $(VENV)/.developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
