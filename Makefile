# Needs make and Python >= 3.11. Everything else is installed into .venv on the first call.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed
PYTEST_ARGS ?= -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test slow lint types imports format bench array-api clean distclean

help:
	@echo "make demo      run examples/demo.py"
	@echo "make test      run the tests; PYTEST_ARGS=... in place of -n auto --dist worksteal"
	@echo "make slow      run the slow tests"
	@echo "make lint      check format and style"
	@echo "make types     check types"
	@echo "make imports   check that imports point one way"
	@echo "make format    format, and fix what can be fixed"
	@echo "make bench     run the benchmarks"
	@echo "make array-api run the array-api-tests suite that lies in ARRAY_API_TESTS=folder"
	@echo "make clean     remove caches and builds; distclean removes .venv as well"

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "graphc needs Python 3.11 or newer, and there is no '$(PYTHON)'; try make PYTHON=/path/to/python" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "graphc needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1); try make PYTHON=python3.11" >&2; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	  rm -rf .venv; \
	  echo "$(PYTHON) -m venv failed; some systems have it in a package of its own, such as python3-venv" >&2; \
	  exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,examples,dev]'
	@touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

slow: $(READY)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS) || test $$? -eq 5  # 5: no slow tests

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports --no-logo

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m benchmarks

# https://github.com/data-apis/array-api-tests, with its submodule; see docs/array_api.md.
ARRAY_API_TESTS ?= ../array-api-tests
ARRAY_API_ARGS ?= -n auto
SUITE = cd $(ARRAY_API_TESTS) && ARRAY_API_TESTS_MODULE=graphc.eager ARRAY_API_TESTS_VERSION=2024.12 \
  PYTHONPATH=$(CURDIR)/tests/array_api $(CURDIR)/$(BIN)/python -m pytest -c pytest.ini --disable-deadline \
  --hypothesis-derandomize --max-examples=20 $(ARRAY_API_ARGS)

array-api: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(ARRAY_API_TESTS)/requirements.txt
	$(SUITE) --skips-file $(CURDIR)/tests/array_api/skips.txt array_api_tests
	$(SUITE) -p real_dtypes array_api_tests/test_linalg.py

clean:
	rm -rf build dist htmlcov .coverage *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find graphc backends layers tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean
	rm -rf .venv
