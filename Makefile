# Every target works as the first command in a fresh clone. Needed: Python 3.11 or newer, and the network once, for pip.

VENV := .venv
BIN := $(VENV)/bin
USABLE := $(VENV)/web.ready
READY := $(VENV)/dev.ready
UNFINISHED := $(VENV)/unfinished
WORKERS ?= 2

.PHONY: help quickstart test test-all check benchmark docs browser clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(USABLE) ## Train, evaluate and look at a small model; METHOD=h_clip and OUT=folder choose.
	$(BIN)/ahs-seg quickstart $(if $(METHOD),--method $(METHOD)) $(if $(OUT),--output $(OUT))

test: $(READY) browser ## Run the tests, except those marked slow.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" $(ARGS)

test-all: $(READY) browser ## Run every test.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(READY) ## Check lint rules, format and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(READY) ## Measure speed and memory; results go to benchmarks/results.
	$(BIN)/python -m benchmarks.cost_family
	$(BIN)/python -m benchmarks.mask_family
	$(BIN)/python -m benchmarks.hyperspherical
	$(BIN)/python -m benchmarks.all_classes
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.big_image
	$(BIN)/python -m benchmarks.tables

docs: $(READY) ## Build the documentation site into site/, strictly.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

browser: ## Install chromium, in which the tests drive the web page, unless it is there.
	@command -v chromium >/dev/null || { \
		sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$sudo apt-get update --quiet && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends chromium; \
	} || echo "No chromium could be installed; install it, or leave its tests out: make test ARGS=\"-m 'not slow and not browser'\"" >&2

clean: ## Remove what make and the tools made; results of runs stay.
	rm -rf $(VENV) build dist site src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is ready for the extra NAME when NAME.ready exists. While it is being made it holds $(UNFINISHED)
# instead, and one that was left in that state, or that cannot be used, is made from scratch.
$(READY): $(USABLE)

$(VENV)/%.ready: pyproject.toml constraints.txt
	@rm -f $@
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		for python in python3.11 python3 python3.12 python3.13 ""; do \
			if [ -z "$$python" ]; then \
				echo "No Python 3.11 or newer with venv was found. Install it (Debian, Ubuntu: apt install python3 python3-venv) and run make again." >&2; \
				exit 1; \
			fi; \
			"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
		done; \
		echo "Making $(VENV) with $$python"; \
		rm -rf $(VENV) && mkdir $(VENV) && touch $(UNFINISHED) && "$$python" -m venv $(VENV); \
	fi
	@touch $(UNFINISHED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$*]'
	@mv $(UNFINISHED) $@
