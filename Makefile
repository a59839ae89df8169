# make demo   the whole thing on this machine, in a folder of its own
# make test   what CI runs: lint, format, types, tests
# make heavy  the tests that are too slow for every change; CI runs them too
# make soak   the whole campaigns of faults, for hours: what docs/reliability.md reports (CAMPAIGNS="steps power": those)
# make bench  measures this machine: one JSON document, figures of citgit and what they are held against
# make lock   pins anew what pyproject.toml asks for, with hashes and without index addresses

PYTHON ?= $(shell for python in python3.11 python3; do $$python -c '' 2>/dev/null && echo $$python && break; done)
VENV := .venv
TRACES ?= 100000
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test heavy soak bench lock clean

demo: $(INSTALLED)
	$(BIN)/cit demo

# Two at a time, with kills and leases: in CI, tests that fail beside others are told of and have to pass alone.
# Only 1 means failed tests; after any other status pytest has not run what it was told to.
define tests
$(BIN)/pytest -n 2 --max-worker-restart 1000 -m $(1) \
    $(if $(CI),|| { test $$? -eq 1 && $(BIN)/pytest -n 0 --last-failed --maxfail 5 -m $(1); })
endef

test: $(INSTALLED)
	$(BIN)/ruff check citgit tests bench
	$(BIN)/ruff format --check citgit tests bench
	$(BIN)/mypy
	$(call tests,"not heavy and not soak")

heavy: $(INSTALLED)
	$(call tests,"heavy and not soak")

soak: $(INSTALLED)
	$(if $(CAMPAIGNS),,$(BIN)/python -m citgit.testing.simulation --count $(TRACES) --json)
	$(BIN)/python tests/faults/soak.py $(CAMPAIGNS)

bench: $(INSTALLED)
	$(BIN)/python -m bench

# The lock holds the build backend too, so nothing is fetched that has no hash.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation \
	    --config-settings editable_mode=compat -e .
	touch $@

# pip-compile comes with pip-tools, which the project itself does not need. A user's pip settings are left
# out: local indexes would leave their hashes here.
lock:
	env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null \
	pip-compile -q --generate-hashes --extra test --allow-unsafe --build-deps-for editable --strip-extras \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis citgit.egg-info build
