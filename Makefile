# make demo    models, four targets, a verdict table and a page; needs Python 3.11 or later and nothing else
# make test    all that the project checks: linters, types, the direction of imports, tests with coverage
# make bench   the figures of docs/benchmarks.md
# make campaign-oracle   50,000 cases on real compilers, every distinct wrong answer (hours; goes on where it was)
# make campaign-null     legal recomputations of every operator on every type: nothing is wrong (ten minutes on two idle cores)
# make campaign-valid    100,000 models over all settings before checker and runtime (half an hour; goes on where it was)
# make campaign-faults   each planted fault: how long until it is found (hours; goes on where it was)
# make campaign-reduction   failing cases of planted faults and real bugs made small (hours; goes on where it was)
# make campaign-corpus   every small model of the corpora exported, run and compared (an hour; goes on where it was)
# make campaign-families   a hundred networks of each search space built, exported, run and compared (hours; goes on where it was)
# make campaign-architectures   two thousand models of 42 types traced, and what can be learnt of them (half an hour or more; goes on where it was)
# make campaign-predictor   networks of each family measured, latencies of unseen families predicted (hours; goes on where it was)
# make campaign-doctor   ONNX's own tests on every backend that is installed: docs/backends.md (hours; goes on where it was)
# make lint    the first half of `make test`

PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS ?= $(shell nproc)
DEMO ?= build/demo
DEMO_COUNT ?= 40

BIN := .venv/bin
# One thread a process: the processes are as many as the cores.
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Hundreds of processes of the tests start with the same modules: they are compiled once (docs/notes/tests.md).
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint bench campaign-oracle campaign-null campaign-valid campaign-faults campaign-reduction campaign-doctor campaign-corpus campaign-families campaign-architectures campaign-predictor clean

demo: .venv/installed
	$(BIN)/fuzz gen --root $(DEMO) --count $(DEMO_COUNT) --dynamic mixed --for onnxruntime tvm openvino
	$(BIN)/fuzz exec --root $(DEMO) --backend onnxruntime --backend onnxruntime:opt=0 --backend tvm --backend openvino
	@$(BIN)/fuzz diff --root $(DEMO) --html $(DEMO)/report.html || test $$? -eq 1  # findings are what we look for

test: lint
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov --cov-report=term

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/installed-test
	$(BIN)/python benchmarks/run.py

campaign-oracle: .venv/installed-test
	$(BIN)/python benchmarks/campaign.py run
	$(BIN)/python benchmarks/campaign.py report

campaign-null: .venv/installed-test
	$(BIN)/python benchmarks/campaign_null.py

campaign-valid: .venv/installed-test
	$(BIN)/python benchmarks/campaign_valid.py run
	$(BIN)/python benchmarks/campaign_valid.py report

campaign-faults: .venv/installed-test
	$(BIN)/python benchmarks/campaign_faults.py run
	$(BIN)/python benchmarks/campaign_faults.py report

campaign-reduction: .venv/installed-test
	$(BIN)/python benchmarks/reduction.py run --each 3
	$(BIN)/python benchmarks/reduction.py real --each 20
	$(BIN)/python benchmarks/reduction.py report

campaign-doctor: .venv/installed-test
	$(BIN)/fuzz doctor --all --root build/doctor --out backends/conformance --page docs/backends.md

campaign-corpus: .venv/installed-test
	$(BIN)/python benchmarks/campaign_corpus.py run
	$(BIN)/python benchmarks/campaign_corpus.py report

campaign-predictor: .venv/installed-test
	$(BIN)/python benchmarks/campaign_predictor.py run
	$(BIN)/python benchmarks/campaign_predictor.py report

campaign-families: .venv/installed-test
	$(BIN)/python benchmarks/campaign_families.py run
	$(BIN)/python benchmarks/campaign_families.py count
	$(BIN)/python benchmarks/campaign_families.py report

campaign-architectures: .venv/installed-test
	$(BIN)/python benchmarks/campaign_architectures.py run
	$(BIN)/python benchmarks/campaign_architectures.py report

clean:
	rm -rf .venv build

# Stamps: what is installed is not installed again until the pins change.
.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml backends/constraints.txt
	@echo "installing what backends/constraints.txt pins; this takes a minute or two"
	$(BIN)/python -m pip install --quiet --constraint backends/constraints.txt --editable '.[all]'
	@touch $@

# Most of these 4 GB is never imported: what is gets compiled then, which saves two minutes. What `make demo` needs is
# among them; two calls of pip would resolve it twice.
.venv/installed-test: .venv/bin/python pyproject.toml backends/constraints.txt
	@echo "installing what the tests run on, some 4 GB; this takes a few minutes"
	$(BIN)/python -m pip install --quiet --no-compile --constraint backends/constraints.txt --editable '.[everything,test]'
	$(BIN)/python -m pip install --quiet --no-compile --constraint backends/constraints.txt --no-deps onnx-tf onnx2torch pnnx timm torchvision
	@touch .venv/installed $@
