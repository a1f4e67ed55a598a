# A fresh machine needs make, a C compiler, and CPython 3.10 or newer with its headers; everything else is fetched
# into $(VENV).  `make help` lists the targets.  Works with GNU make 3.81 (macOS) and later.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# what to test, and with what further options: make test TESTS=tests/wire PYTEST_ARGS=-x
TESTS ?= tests
PYTEST_ARGS ?=

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet --quiet
PYTEST := -m pytest $(PYTEST_ARGS)
STAMPS := $(VENV)/.stamps

# Folders are listed beside files so that a removed file counts as a change.
SOURCES := setup.py pyproject.toml MANIFEST.in tools/machine.py $(shell find src \
	-name __pycache__ -prune -o -name '*.egg-info' -prune -o -type d -print -o \
	-type f \( -name '*.py' -o -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name py.typed \) -print)

export PYZQ_JOBS := $(JOBS)
export PIP_NO_INPUT := 1
unexport PYTHONPATH PYTHONHOME

.DELETE_ON_ERROR:
.NOTPARALLEL:
.SECONDARY:
.PHONY: help build test test-clients demo bench bench-compare conformance lint types docs dist wheels wheel-matrix asan tsan portable clean distclean

help:
	@echo "make demo           several processes talk over the patterns, then a table of speeds beside pyzmq's"
	@echo "make test           build, install into $(VENV), run the tests        (TESTS=..., PYTEST_ARGS=...)"
	@echo "make test-clients   Jupyter, ipyparallel, locust, zerorpc, circus and more, run on pyzq (minutes, and many packages)"
	@echo "make bench          measure beside pyzmq and other peers             (ROWS=..., IMPL=..., BENCH_ARGS=--quick)"
	@echo "make bench-compare  what moved since an older result                 (OLD=..., NEW=...)"
	@echo "make conformance    pyzmq's own test suite on pyzq, and the count    (CONFORMANCE_ARGS=--failures)"
	@echo "make asan           core tests under AddressSanitizer and UBSan"
	@echo "make tsan           core tests under ThreadSanitizer"
	@echo "make portable       core tests with the portable forms of platform.h"
	@echo "make lint           ruff and cython-lint"
	@echo "make types          the types, by mypy, stubtest and pyright"
	@echo "make docs           renew docs/options.md, check the documents' links and the files they name"
	@echo "make dist           sdist, wheel from it, tests against the installed wheel"
	@echo "make wheels         wheels for this machine by cibuildwheel;  make wheel-matrix lists all of them"
	@echo "make clean          remove what was built;  make distclean removes $(VENV) too"

# ---- the environment ---------------------------------------------------------------------------

$(STAMPS)/venv:
	@$(PYTHON) tools/machine.py
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"
	@mkdir -p $(STAMPS) && touch $@

# A group of pyproject.toml, installed: $(STAMPS)/group-test
$(STAMPS)/group-%: pyproject.toml $(STAMPS)/venv
	@echo "Installing what pyproject.toml lists under $*"
	@$(PIP) install --group $*
	@touch $@

# Nice to have, as wheels only: what has none for this interpreter is left out and shows as skipped or as no column.
$(STAMPS)/group-integrations $(STAMPS)/group-green $(STAMPS)/group-loops $(STAMPS)/group-peers: $(STAMPS)/group-%: pyproject.toml $(STAMPS)/venv
	@echo "Installing what pyproject.toml lists under $*"
	@$(PIP) install --only-binary :all: --group $* 2>/dev/null || echo "Not all of $* exists for this interpreter; going on without."
	@touch $@

$(STAMPS)/installed: $(SOURCES) $(STAMPS)/group-build
	@$(PYTHON) tools/machine.py
	@echo "Building the engine, $(JOBS) modules at once (the first time takes a while)"
	@$(PY) setup.py --quiet build_ext
	@$(PIP) install --no-build-isolation .
	@touch $@

build: $(STAMPS)/installed

# ---- what people run ---------------------------------------------------------------------------

TEST_TOOLS := $(addprefix $(STAMPS)/group-,test integrations green loops)

test: $(STAMPS)/installed $(TEST_TOOLS)
	@$(PY) $(PYTEST) $(TESTS)

# Programs of others have an environment of their own: what they ask for must not decide what the tests above run with.
# One that cannot be installed for this interpreter is left out, and its tests are skipped.
CLIENTS := $(STAMPS)/clients
CLIENTS_PIP := $(PIP) --python $(CLIENTS)/bin/python
CLIENTS_TESTS ?= tests/clients
PROGRAMS := jupyter ipyparallel zerorpc locust circus loops

$(STAMPS)/group-clients: pyproject.toml $(STAMPS)/venv
	@echo "Installing what pyproject.toml lists under clients"
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS_PIP) install --prefer-binary --group clients 2>/dev/null || { \
		$(CLIENTS_PIP) install --group clients-tools && for program in $(PROGRAMS); do \
			$(CLIENTS_PIP) install --prefer-binary --group clients-$$program 2>/dev/null || \
			echo "clients-$$program cannot be installed for this interpreter; going on without."; done; }
	@touch $@

$(CLIENTS)/.installed: $(STAMPS)/installed $(STAMPS)/group-clients
	@rm -rf build/clients
	@$(PIP) wheel --no-build-isolation --no-deps --wheel-dir build/clients .
	@$(CLIENTS_PIP) install --no-deps --force-reinstall build/clients/*.whl
	@touch $@

# locust brings a plugin for pytest
test-clients: $(CLIENTS)/.installed
	@$(CLIENTS)/bin/python $(PYTEST) -p no:locust $(CLIENTS_TESTS)

demo: $(STAMPS)/installed $(STAMPS)/group-demo
	@$(PY) examples/demo.py $(DEMO_ARGS)

bench: $(STAMPS)/installed $(STAMPS)/group-demo $(STAMPS)/group-peers $(STAMPS)/group-green $(STAMPS)/group-loops
	@$(PY) -m benchmarks run $(if $(ROWS),--rows '$(ROWS)') $(if $(IMPL),--impl '$(IMPL)') $(BENCH_ARGS)

# OLD and NEW are result files; NEW is the newest local one when it is not given.
OLD ?= benchmarks/results/reference.json
bench-compare: $(STAMPS)/installed $(STAMPS)/group-demo
	@test -f "$(OLD)" || { echo "There is no $(OLD); say which result to compare with: make bench-compare OLD=..."; exit 1; }
	@$(PY) -m benchmarks compare $(OLD) $(NEW)

# pyzmq's suite comes from its source release on PyPI, which pip fetches once into .cache.
conformance: $(STAMPS)/installed $(TEST_TOOLS)
	@$(PY) tests/conformance $(CONFORMANCE_ARGS)

lint: $(STAMPS)/group-lint
	@$(PY) -m ruff check .
	@PATH="$(abspath $(VENV))/bin:$$PATH" cython-lint src examples benchmarks tests

# pyright's npm package and node come as wheels: nothing is fetched while it runs.
types: $(STAMPS)/installed $(STAMPS)/group-typing
	@PYZQ_ALL_CHECKERS=1 $(PY) $(PYTEST) tests/typed

docs: $(STAMPS)/installed
	@$(PY) -m zcore.option_text > build/options.md && mv build/options.md docs/options.md
	@$(PY) tools/check_docs.py

# ---- other builds of the engine, each in its own folder ------------------------------------------
# $(VENV) lends its interpreter and its test tools; the build of the variant goes to build/VARIANT/site and
# stands first on PYTHONPATH.  tests/sanitizers/README.md says what each one can and cannot see.

SANITIZED_TESTS ?= $(TESTS)
RUN_VARIANT = $(PY) tests/sanitizers/run.py

build/%/site/.stamp: $(SOURCES) $(STAMPS)/group-build
	@echo "Building the engine for $*"
	@PYZQ_VARIANT=$* $(VARIANT_ENV) $(PY) setup.py --quiet build_ext
	@PYZQ_VARIANT=$* $(VARIANT_ENV) $(PIP) install --no-build-isolation --no-deps --upgrade --target build/$*/site .
	@touch $@

build/asan/site/.stamp: VARIANT_ENV = PYZQ_SANITIZE=address,undefined
build/tsan/site/.stamp: VARIANT_ENV = PYZQ_SANITIZE=thread
build/portable/site/.stamp: VARIANT_ENV = PYZQ_CFLAGS=-DZQ_PORTABLE=1

asan tsan portable: %: build/%/site/.stamp $(TEST_TOOLS)
	@$(RUN_VARIANT) $* $(PYTEST) $(SANITIZED_TESTS)

# ---- release -----------------------------------------------------------------------------------

# The tests come out of the sdist and run in an environment that has nothing but the wheel and the test tools.
dist: $(STAMPS)/group-build
	@rm -rf dist build/dist
	@mkdir -p build/dist
	@echo "Building the sdist, and the wheel from it"
	@$(PY) -m build --outdir dist . > build/dist/log 2>&1 || { cat build/dist/log; exit 1; }
	@tar -xzf dist/*.tar.gz -C build/dist
	@$(PYTHON) -m venv build/dist/venv
	@build/dist/venv/bin/python -m pip --disable-pip-version-check -qq install --upgrade "pip>=25.1"
	@build/dist/venv/bin/python -m pip --disable-pip-version-check -qq install --group test dist/*.whl
	@cd build/dist/pyzq-*/ && ../venv/bin/python $(PYTEST) $(TESTS)
	@ls -l dist

CIBUILDWHEEL = $(STAMPS)/cibuildwheel/bin/python -m cibuildwheel

$(STAMPS)/cibuildwheel: $(STAMPS)/venv
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip --disable-pip-version-check -qq install "cibuildwheel>=4,<5" || { rm -rf $@; exit 1; }

wheels: $(STAMPS)/cibuildwheel
	@$(CIBUILDWHEEL) --archs auto64 --output-dir wheelhouse

wheel-matrix: $(STAMPS)/cibuildwheel
	@$(CIBUILDWHEEL) --print-build-identifiers --platform linux
	@$(CIBUILDWHEEL) --print-build-identifiers --platform macos

# ---- tidying -----------------------------------------------------------------------------------

clean:
	@rm -rf build dist wheelhouse .pytest_cache .ruff_cache .mypy_cache .hypothesis examples/embedding/build
	@rm -rf $(STAMPS)/installed
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
	@find src -name '*.egg-info' -prune -exec rm -rf {} + -o \( -name '*.so' -o -name '*.c' \) -type f -exec rm -f {} +

distclean: clean
	@rm -rf $(VENV)
