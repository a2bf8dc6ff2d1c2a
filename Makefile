# Everything happens in .venv; the system is left alone.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -rs
# The path of uv, which installs in a part of pip's time; empty: pip.
UV ?=
# Makes an environment, and installs into it.
venv = test -x $(1)/bin/python || $(if $(UV),$(UV) venv --quiet --seed --python $(PYTHON),$(PYTHON) -m venv) $(1)
install = $(if $(UV),$(UV) pip install --quiet --python $(1)/bin/python,$(1)/bin/python -m pip install --quiet --disable-pip-version-check)

.PHONY: demo lint quick test chosen test-spark test-arm docs package bench clean

demo: .venv/demo
	$(BIN)/python -m fastrec.datasets fetch
	$(BIN)/fastrec demo

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

test: lint
	$(PYTEST)

chosen: .venv/dev
	$(PYTEST) @tests/chosen.txt

# Within 90 seconds: what most changes break first.
quick: lint
	$(PYTEST) tests/test_validation.py tests/test_storage.py tests/metrics tests/test_parallel.py

# fastrec.distributed on Sail, and where there is Java on Spark, in an environment of its own: pyspark and the newest
# pandas do not go together. On Spark, where a job costs a second, the few tests that it may fail and Sail does not; its
# own executors fail in FASTREC_ENGINE=spark pytest tests/distributed/test_faults.py, which takes minutes.
ON_SPARK := bit_for_bit or shipped
test-spark: .venv-spark/installed
	.venv-spark/bin/python -m pytest -rs tests/distributed
	@if command -v java >/dev/null; then FASTREC_ENGINE=spark .venv-spark/bin/python -m pytest -rs tests/distributed -k "$(ON_SPARK)"; \
	else echo "Java is not on this machine: Spark itself was not tried, only Sail"; fi

.venv-spark/installed: pyproject.toml
	$(call venv,.venv-spark)
	$(call install,.venv-spark) --editable ".[spark-test]"
	touch $@

# Tests on an emulated ARM processor, in .venv-arm: ten minutes and more.
test-arm:
	PYTHON="$(PYTHON)" .ci/arm $(ARGS)

# The site, in docs/_build/html. Executed pages are kept in docs/_build/executed until their code changes.
docs: .venv/docs
	$(BIN)/python -m sphinx -W --keep-going -q -j auto docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# What the package index and type checkers take: the wheel and the sdist in dist/, and the types that users see.
package: .venv/release
	rm -rf dist
	$(BIN)/python -m build --quiet --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	. $(BIN)/activate && pyright tests/typed_use.py

bench: .venv/bench
	$(BIN)/python bench/run.py $(ARGS)

# One stamp for each set of packages: installed again when pyproject.toml changes.
.venv/%: pyproject.toml
	$(call venv,.venv)
	$(call install,.venv) --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv .venv-spark .venv-arm build dist *.egg-info demo-report.html
