# Every target works as the first command in a fresh clone. Needed: Python 3.11 or newer, and the network once, for pip.
# PYTHON=python3.13 chooses the Python; without it, the first that fits is taken.

VENV := .venv
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
CONSTRAINTS := constraints.txt
USABLE := $(VENV)/web.ready
READY := $(VENV)/dev.ready
UNFINISHED := $(VENV)/unfinished
WORKERS ?= 2
PROGRESS ?= on
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
COVERAGE := build/coverage
INSTALLED := build/installed

.PHONY: help install quickstart test page test-all slow campaign evidence evidence-check mutants floors coverage check benchmark docs package smoke release browser clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(USABLE) ## Install the package into .venv, with what the web page needs.

quickstart: $(USABLE) ## Train, evaluate and look at a small model; METHOD=h_clip and OUT=folder choose.
	$(BIN)/ahs-seg quickstart $(if $(METHOD),--method $(METHOD)) $(if $(OUT),--output $(OUT))

test: $(READY) ## Run the tests, except the slow ones and those of "make page".
	$(PYTEST) -m "not slow and not browser" $(ARGS)

page: $(READY) browser ## Run the tests of pages in a browser, except the slow ones.
	$(PYTEST) -m "browser and not slow" $(ARGS)

test-all: $(READY) browser ## Run every test.
	$(PYTEST) $(ARGS)

slow: $(READY) browser ## Run the slow tests but the campaign: every recording of the original code, ViT-L too, long runs, the site.
	$(PYTEST) -m slow --ignore tests/campaign $(ARGS)

campaign: $(READY) ## Give the library damaged and hostile input and kill its runs, in 20 minutes; SEED=7 draws other cases.
	rm -rf build/campaign
	$(PYTEST) tests/campaign -m slow --campaign-record build/campaign $(if $(SEED),--campaign-seed $(SEED)) $(ARGS); \
		status=$$?; $(BIN)/python -m tests.campaign.record build/campaign && exit $$status

evidence: $(READY) ## Make every table of the documentation again from nothing, for days; a killed run resumes; OUT=folder.
	nice -n 10 $(BIN)/python -m benchmarks.evidence $(if $(OUT),--output $(OUT))

evidence-check: $(READY) ## Compare the texts and tables of the documentation with the files in benchmarks/results.
	$(BIN)/python -m benchmarks.evidence_check

mutants: $(READY) ## Change numbers of the code one by one and see which change no test notices; hours; SEED=7 COUNT=400.
	nice -n 10 $(BIN)/python -m tests.mutants.run $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT))

floors: ## Run "make test" with the oldest versions that pyproject.toml admits, in .venv-floors.
	$(MAKE) test VENV=.venv-floors CONSTRAINTS=constraints-floors.txt

coverage: $(READY) browser ## Measure which lines the tests run; the report goes to build/coverage.
	$(PYTEST) -m "not slow" --cov --cov-report= $(ARGS)
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report --format=markdown > $(COVERAGE)/report.md
	@tail -n 1 $(COVERAGE)/report.md

check: $(READY) ## Check lint rules, format, types, and the files that GitHub reads.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

benchmark: $(READY) ## Measure speed and memory; results go to benchmarks/results.
	$(BIN)/python -m benchmarks.protocol
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.overlays
	$(BIN)/python -m benchmarks.cost_family
	$(BIN)/python -m benchmarks.mask_family
	$(BIN)/python -m benchmarks.hyperspherical
	$(BIN)/python -m benchmarks.all_classes
	$(BIN)/python -m benchmarks.runtimes
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.big_image
	$(BIN)/python -m benchmarks.colours
	$(BIN)/python -m benchmarks.tables

docs: $(READY) ## Build the documentation site into site/, strictly.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

package: $(READY) ## Build the wheel and the source archive into dist/ and check them.
	rm -rf dist build/lib build/bdist.*
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*

smoke: package ## Install the wheel into a fresh environment and use it there.
	rm -rf $(INSTALLED) && mkdir -p $(INSTALLED)
	$(BIN)/python -m venv $(INSTALLED)/venv
	$(INSTALLED)/venv/$(SCRIPTS)/python -m pip install --quiet -c constraints.txt dist/*.whl
	cd $(INSTALLED) && venv/$(SCRIPTS)/ahs-seg --version && venv/$(SCRIPTS)/ahs-seg quickstart --method zero_shot --output run

release: package ## Check that TAG=v1.2.3 can be released: its version, its section of the changelog, its wheel.
	$(BIN)/python .github/release_notes.py "$(TAG)" > build/release-notes.md

browser: ## Install chromium, in which the tests drive the web page, unless it is there.
	@command -v chromium >/dev/null || { \
		sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$sudo apt-get update --quiet && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends chromium; \
	} || echo "No chromium could be installed; install it, or use targets that need none: make test" >&2

clean: ## Remove what make and the tools made; results of runs stay.
	rm -rf $(VENV) .venv-floors build dist site src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is ready for the extra NAME when NAME.ready exists. While it is being made it holds $(UNFINISHED)
# instead, and one that was left in that state, or that cannot be used, is made from scratch.
$(READY): $(USABLE)

$(VENV)/%.ready: pyproject.toml $(CONSTRAINTS)
	@rm -f $@
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		for python in $(or $(PYTHON),python3.11 python3 python3.12 python3.13 python3.14 python) ""; do \
			if [ -z "$$python" ]; then \
				echo "$(if $(PYTHON),PYTHON=$(PYTHON) is not Python 3.11 or newer with venv.,No Python 3.11 or newer with venv was found.) Install it (Debian, Ubuntu: apt install python3 python3-venv) and run make again." >&2; \
				exit 1; \
			fi; \
			"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
		done; \
		echo "Making $(VENV) with $$python"; \
		rm -rf $(VENV) && mkdir $(VENV) && touch $(UNFINISHED) && "$$python" -m venv $(VENV); \
	fi
	@touch $(UNFINISHED)
	@echo "Installing into $(VENV), which takes some minutes the first time"
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar $(PROGRESS) -c $(CONSTRAINTS) -e '.[$*]'
	@mv $(UNFINISHED) $@
