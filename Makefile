# make demo: install and search handwritten digits.   make test: everything that CI checks.
# make simulate SEEDS=100000: live so many histories of a failing world (tests/simulator), or SEEDS=123:124 again.
# make bench: Shoal against its rivals, start-up and scale, within an hour; writes benchmarks/RESULTS.md.
# make bench-quick: a look at the same within ten minutes, which publishes nothing.
# make bench-efficiency: how many epochs Shoal and its rivals need, in a simulated cluster (about an hour).
# make studies: run every ready-made study and write their scores into docs/studies.md (half an hour).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
BENCH_VENV ?= .bench
# where the packages of the environment with this bin/ are
purelib = $$($(1)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")

.PHONY: demo install test test-all simulate bench bench-quick bench-efficiency lint studies clean

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

# BENCH="--only digits,scale --minutes 20": only a part, or another time. What was measured stays.
BENCH ?=
bench: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m benchmarks.yardstick.run $(BENCH)

bench-quick: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m benchmarks.yardstick.run --quick $(BENCH)

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

# Syne Tune, a rival, brings packages of its own: they are kept apart, beside those of $(VENV).
$(BENCH_VENV)/.installed: $(VENV)/.developing
	$(PYTHON) -m venv $(BENCH_VENV)
	echo "import site; site.addsitedir('$(call purelib,$(abspath $(BIN)))')" \
		> $(call purelib,$(BENCH_VENV)/bin)/beside.pth
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check syne-tune==0.16.0
	touch $@

clean:
	rm -rf $(VENV) $(BENCH_VENV) build *.egg-info
