# make run    the training flow on data/flights, into runs/
# make test   everything that guards the project
# make test-prefect   the flows against real servers and workers, with deaths: minutes, not seconds
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-header --quiet
# pip before 24 takes name[extra]==1 for no pin of name, nor name==1 for one of name[extra]: a pin with extras is written
# a second time without
WITH_PLAIN_PINS := $(PYTHON) -c 'import pathlib, re, sys; [path.write_text(re.sub( \
	r"(?m)^([\w.-]+)(\[.*?\])(==.*\n(?:[ ].*\n)*)", r"\1\2\3\1\3", path.read_text())) \
	for path in map(pathlib.Path, sys.argv[1:])]'

# Prefect's own temporary server, whatever profile or server the machine has otherwise
export PREFECT_HOME := $(CURDIR)/.prefect
unexport PREFECT_API_URL PREFECT_PROFILE VIRTUAL_ENV

.PHONY: run test test-prefect lint kills fuzz bench docs docs-figures clean lock
.DEFAULT_GOAL := run

run: .venv/run-ready
	$(BIN)/python -m flows.train source=data/flights target=arr_delay \
		features="dep_delay,distance,air_time,carrier,origin,C(hour),C(month),C(weekday(time_hour))" output=runs

# with the site: seconds, and a link that leads nowhere fails there alone
test: lint docs
	$(BIN)/python -m pytest

# every test of the flows, also those that sleep in make test
test-prefect: .venv/test-ready
	$(BIN)/python -m pytest -m "prefect_server or not benchmark" tests/flows tests/test_dockerfile.py

lint: .venv/test-ready
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --verbose | tail -n 12

# 200 kills at random instants of a run, one at every single write, and every fault there: 15 minutes on two busy cores
kills: .venv/test-ready
	GDPIPE_KILLS=200 $(BIN)/python -m pytest tests/test_kills.py tests/test_faults.py

# 2,000 strange tables, damaged files and condition numbers, 20,000 filters
fuzz: .venv/test-ready
	GDPIPE_FUZZ=2000 $(BIN)/python -m pytest tests/test_fuzz.py tests/test_fuzz_outputs.py tests/source/test_conditions.py \
		tests/test_hard_data.py::test_no_condition_number_ends_a_run_without_its_verdict
	GDPIPE_FUZZ=200 $(BIN)/python -m pytest tests/test_rows_refute.py

# tables in bench/; make bench GDPIPE_BENCH_ROWS=5000000 GDPIPE_BENCH_RUNS=5 for more than a million rows, three times
# (GDPIPE_BENCH_FEATURES, GDPIPE_BENCH_FILES: else 20 and 4);
# GDPIPE_BENCH_TINY=1000,100000 for other numbers of tiny files than 1,000 and 10,000;
# GDPIPE_BENCH_WORKERS=1,2,4 for gdpipe with so many workers, too; GDPIPE_BENCH_PEERS=duckdb_sql,hdfe_ols for some peers;
# three peers are in no lock and run where they are installed, Spark where Java 17 is, too (600 MB):
# .venv/bin/python -m pip install scikit-learn-intelex hdfe-stream pyspark
bench: .venv/test-ready
	$(BIN)/python -m pytest -m benchmark -s -rN tests/benchmarks

# docs/ as a site in site/; a link that leads nowhere fails. The index is site/docs/index.html
docs: .venv/docs-ready
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d .venv/doctrees . site

# docs/figures/ anew, from the commands of the tutorial
docs-figures: .venv/docs-ready .venv/test-ready
	$(BIN)/python docs/figures.py

# every pin with its hashes, for Python 3.11 to 3.14; needs uv
lock:
	$(COMPILE) --extra prefect --group build -o requirements.lock
	$(COMPILE) --extra prefect --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --group docs -c requirements-dev.lock -o requirements-docs.lock
	$(WITH_PLAIN_PINS) requirements.lock requirements-dev.lock requirements-docs.lock

clean:
	rm -rf .venv .prefect runs scores bench demo demo_runs delays site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and "gdpipe needs Python 3.11 to 3.14: make PYTHON=python3.14 ...")'
	$(PYTHON) -m venv .venv

# the locks are complete, so nothing is resolved (--no-deps) and nothing unpinned is fetched
.venv/run-ready: requirements.lock pyproject.toml | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/test-ready: requirements-dev.lock .venv/run-ready
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/docs-ready: requirements-docs.lock .venv/run-ready
	$(INSTALL) --require-hashes -r requirements-docs.lock
	@touch $@
