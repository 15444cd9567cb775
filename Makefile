PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: quickstart test lint docs test-slow benchmark measure measure-pipeline smollm2 measure-smollm2 miniature-base miniature-student clean
quickstart: $(INSTALLED) ## the miniature, from cold start to reasoning
	$(BIN)/r1-trl quickstart

test: lint docs ## everything that CI runs
	$(BIN)/pytest -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/mkdocs.yml

test-slow: $(INSTALLED) ## the miniature learns, within its bounds and its time
	$(BIN)/pytest -m slow

benchmark: $(INSTALLED) ## speed against TRL's, in the same run; on a quiet machine
	$(BIN)/python -m tests.benchmarks.verifiers
	$(BIN)/python -m tests.benchmarks.grpo_step
	$(BIN)/python -m tests.benchmarks.reflection

measure: $(INSTALLED) ## three seeds of the miniature and its ablations: the figures of its README
	$(BIN)/python recipes/miniature_cpu/measure.py

measure-pipeline: $(INSTALLED) ## three seeds of the whole recipe and what it is compared with: the tables of its README
	$(BIN)/python recipes/miniature_cpu/measure_pipeline.py

smollm2: $(INSTALLED) ## a real language model learns: SmolLM2-135M with LoRA, from its download to its evaluation
	$(BIN)/python recipes/smollm2_135m_cpu/fetch_model.py
	$(BIN)/python recipes/smollm2_135m_cpu/make_cold_start.py
	$(BIN)/r1-trl pipeline --config recipes/smollm2_135m_cpu/pipeline.yaml

measure-smollm2: $(INSTALLED) ## two seeds of it, QLoRA, and the same by `trl grpo`: the figures of its README
	$(BIN)/python recipes/smollm2_135m_cpu/measure.py

miniature-base miniature-student: miniature-%: $(INSTALLED) ## pre-train an embedded model from nothing, compare with the shipped one
	$(BIN)/python recipes/miniature_cpu/untrained_base.py --output_dir runs/miniature_$*/untrained --shape $*
	$(BIN)/r1-trl sft --config recipes/miniature_cpu/base.yaml \
		--model_name_or_path runs/miniature_$*/untrained --output_dir runs/miniature_$*/trained
	$(BIN)/r1-trl evaluate --config recipes/miniature_cpu/evaluate.yaml \
		--model_name_or_path runs/miniature_$*/trained --output_dir runs/miniature_$*/evaluation
	$(BIN)/python recipes/miniature_cpu/compare_base.py runs/miniature_$* --model $*

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "r1-trl needs Python 3.11 or newer, as TRL 1.16 does: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv runs site
