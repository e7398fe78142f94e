# Two commands are all the set-up there is: `make demo` and `make test`. `make` alone lists the rest.
PYTHON ?= python3
IMAGES ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
DATA := tuxpaint-stamps gcompris-photos openclipart emoji photographs wordnet efficientnet-lite0 efficientnet-lite2
# Generated shapes need neither a network nor photographs, so they run in the small profile.
PROFILE := $(if $(IMAGES),smoke,demo)
# Your own runs go to the results folder, which git ignores; only `make reports` and `make benchmarks` change the reports under version control.
DEMO = $(or $(MILAN_RESULTS_DIR),results)/reports/describe_a_network/$(PROFILE)$(if $(IMAGES),-$(IMAGES))
say = @printf '\n== %s\n'

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo test check lint types smoke pytest docs export reports benchmarks hooks clean

help: ## list the targets
	@printf 'milan: describe the neurons of a vision network in plain words\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n  IMAGES=shapes   for make demo: generated shapes, no downloads\n  PYTHON=python3.12   which Python makes $(VENV)\n'

install: $(READY) ## make .venv and install the package with all it needs

# pip's own words go to a log; what is fetched and how far it has got is said here.
PROGRESS := /^Collecting/ { n++; if (n % 20 == 0) print "  " n " packages found, " $$2 " among them" } \
    /^ *Downloading .*\([0-9.]+ (GB|[0-9][0-9.]+ MB)\)/ { print " " $$0 } \
    /^Installing collected/ { print "  installing " n " packages (a minute or two)" } \
    /ERROR|error:/ { print } { fflush() }

$(READY): pyproject.toml constraints.txt
	$(say) 'install: $(VENV) (some minutes the first time; all of it in $(VENV)/install.log)'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'milan needs Python 3.11 or later; name one: make install PYTHON=python3.11'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@{ $(BIN)/python -u -m pip install --progress-bar off --disable-pip-version-check -c constraints.txt -e '.[all,dev]' 2>&1; \
	    echo $$? > $(VENV)/install.status; } | tee $(VENV)/install.log | awk '$(PROGRESS)'
	@test "$$(cat $(VENV)/install.status)" = 0 || { tail -n 20 $(VENV)/install.log; exit 1; }
	@echo '  installed'
	@touch $@

demo: $(READY) ## describe neurons of an ImageNet-trained network (IMAGES=shapes: without downloads)
ifeq ($(IMAGES),)
	$(say) 'demo: fetch photographs and weights'
	@$(BIN)/milan data fetch $(DATA) || \
	    { printf '\nSomething could not be fetched. Without a network, run: make demo IMAGES=shapes\n'; exit 1; }
endif
	$(say) 'demo: find exemplars, name units, test the names'
	@$(BIN)/milan reproduce describe_a_network --profile $(PROFILE) $(if $(IMAGES),--images $(IMAGES),-p captioner=)
	$(say) 'demo: done. Look at'
	@find "$(DEMO)" -maxdepth 2 \( -name report.ipynb -o -name descriptions.csv -o -name index.html \) | sed 's/^/  /'
	@printf '  pages in a browser: $(BIN)/milan browse %s\n' "$(DEMO)"

test: check lint types smoke docs pytest ## all checks and tests, as CI runs them

check: $(READY) ## are package, tests, README and requirements in step with the notebooks?
	$(say) 'check: what is generated is in step with its notebook'
	@$(BIN)/python -m milan.publishing check

lint: $(READY)
	$(say) 'lint: ruff'
	@$(BIN)/ruff check milan tests

types: $(READY)
	$(say) 'types: mypy'
	@$(BIN)/mypy

# In a folder of their own, so that they do not take the place of your own results.
smoke: $(READY) ## run all guides, experiments and benchmarks on generated data
	$(say) 'smoke: every guide, experiment and benchmark, on generated data (build/smoke)'
	@mkdir -p build/smoke
	@cd build/smoke && $(CURDIR)/$(BIN)/milan reproduce --all --profile smoke --out reports

pytest: $(READY) ## the tests alone, with coverage, in one process per core
	$(say) 'pytest: the tests made from the notebooks (lines never run: build/coverage.txt)'
	@mkdir -p build
	@$(BIN)/python -m pytest tests -n auto --dist worksteal -rs --durations=5 --cov=milan --cov-report=term; status=$$?; \
	    $(BIN)/coverage report --show-missing > build/coverage.txt; exit $$status
	$(say) 'pytest: once more what trains, with the instructions of an old processor'
	@ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 $(BIN)/python -m pytest tests -n auto -m training

docs: $(READY) ## build the site into _site/
	$(say) 'docs: the site, without warnings'
	@$(BIN)/python -m milan.publishing site
	@printf 'open _site/index.html\n'

export: $(READY) ## write package, tests and README from the notebooks
	$(say) 'export: package, tests, README'
	@$(BIN)/python -m milan.publishing export

reports: $(READY) ## run all guides and experiments into reports/, which git tracks
	$(say) 'reports: every guide and experiment on photographs, and the units whose truth is known'
	@$(BIN)/milan reproduce --all --profile demo --out reports
	@$(BIN)/milan reproduce describe_a_network --profile smoke --out reports

benchmarks: $(READY) ## measure speed and memory (two hours; leave the machine alone meanwhile)
	$(say) 'benchmarks: into reports/benchmarks'
	@$(BIN)/milan reproduce exemplars annotations captioner describing formulas search --profile demo --jobs 1 --out reports

hooks: ## let git clean notebooks before each commit
	git config core.hooksPath .githooks

clean: ## remove what was built; .venv, data, models and results stay
	rm -rf build dist _site _proc *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache
	find milan tests -name __pycache__ -type d -prune -exec rm -rf {} +
