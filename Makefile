# Everything happens in .venv; the system is left alone.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 -rs

.PHONY: demo lint quick test chosen bench clean

demo: .venv/demo
	$(BIN)/python -m fastrec.datasets fetch
	$(BIN)/fastrec demo

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(PYTEST)

chosen: .venv/dev
	$(PYTEST) @tests/chosen.txt

# Within 90 seconds: what most changes break first.
quick: lint
	$(PYTEST) tests/test_validation.py tests/test_storage.py tests/test_metrics.py tests/test_parallel.py

bench: .venv/bench
	$(BIN)/python bench/run.py $(ARGS)

# One stamp for each set of packages: installed again when pyproject.toml changes.
.venv/%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv build dist *.egg-info demo-report.html
