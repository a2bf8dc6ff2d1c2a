# Everything happens in .venv; the system is left alone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test bench clean

demo: .venv/demo
	$(BIN)/python -m fastrec.datasets fetch
	$(BIN)/fastrec demo

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

bench: .venv/bench
	$(BIN)/python bench/run.py $(ARGS)

# One stamp for each set of packages: installed again when pyproject.toml changes.
.venv/%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv build dist *.egg-info demo-report.html
