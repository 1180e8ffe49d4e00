# Everything happens in $(VENV); nothing outside this folder is touched, and nothing needs root.
VENV   ?= .venv
PYTHON ?= python3
ARGS   ?=

python    := $(VENV)/bin/python
pip       := $(python) -m pip --disable-pip-version-check install --constraint constraints.txt
installed := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-full check bench results docs clean

help: ## this list
	@echo "lowkey: train a Transformer you can read; adapt BERT and know what it cost"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: PYTHON=python3.12 (another Python), VENV=/a/folder (another environment),'
	@echo '           ARGS="--budget quick" (passed on to the program that the target runs)'

demo: $(installed)-demo ## install, then train and adapt on real data (at most 10 minutes)
	$(VENV)/bin/lowkey demo $(ARGS)

test: $(installed)-dev ## install, then the quick tests (at most 10 minutes on 2 cores)
	$(python) -m pytest -q $(ARGS)

test-full: $(installed)-dev ## every test but those that need the internet
	$(python) -m pytest -q -m "not network" $(ARGS)

check: $(installed)-dev ## lint, format, types, import floors, docstrings
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(VENV)/bin/pyrefly check --python-interpreter-path $(python)
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/pydoclint --quiet src

bench: $(installed)-dev ## the speed claims, side by side with the rivals (close other programs)
	$(python) -m benchmarks lora_step $(ARGS)
	$(python) -m benchmarks translation_step $(ARGS)
	$(python) -m benchmarks attention_kernels $(ARGS)

# 'make results pronounce' and 'make results NAME=pronounce' are the same.
ifeq (results,$(firstword $(MAKECMDGOALS)))
NAME ?= $(word 2,$(MAKECMDGOALS))
$(eval $(wordlist 2,99,$(MAKECMDGOALS)):;@:)
endif

results: $(installed)-dev ## publish one benchmark: make results pronounce
	@test -n "$(NAME)" || { echo "Which one? make results pronounce" >&2; exit 2; }
	$(python) -m benchmarks $(NAME) --out benchmarks/results/$(NAME).json $(ARGS)

docs: $(installed)-docs ## build the site into site/
	$(python) -m mkdocs build --strict

clean: ## remove caches, builds and the site; runs/ and the environment stay
	rm -rf build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(python):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "lowkey needs Python 3.11 or newer; $(PYTHON) is" \
	       "$$($(PYTHON) --version 2>/dev/null || echo not here)." \
	       "Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -f $@; exit 1; }

# The sizes are sums over the wheels that constraints.txt picks for Python 3.11.
$(installed)-demo: pyproject.toml constraints.txt | $(python)
	@echo "Installing lowkey into $(VENV), and nowhere else."
	@if $(python) -c 'import torch' 2>/dev/null; then \
	  echo "torch is there already; about 0.3 GB to download where pip's cache is empty."; \
	elif test "$$(uname -s)" = Linux; then \
	  echo "About 3 GB to download: on Linux pip takes the CUDA build of torch (2.7 GB with its"; \
	  echo "libraries), unless your pip is configured for CPU builds (0.5 GB in all). To bring your"; \
	  echo "own build, stop here and install torch 2.13.0 into $(VENV) as pytorch.org says."; \
	else \
	  echo "About 0.4 GB to download."; \
	fi
	$(pip) --editable '.[demo]'
	@touch $@

# The stamps form a chain, so that 'make -j' never runs two installations in one environment.
$(installed)-dev: $(installed)-demo
	@echo "Installing the tools for tests and checks: about 60 MB."
	$(pip) --quiet --editable '.[demo,dev]'
	@touch $@

$(installed)-docs: $(installed)-dev
	@echo "Installing the tools for the site: about 25 MB."
	$(pip) --quiet --editable '.[demo,dev,docs]'
	@touch $@
