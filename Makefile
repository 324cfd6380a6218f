# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
SHELL := /bin/bash

VENV := .venv
VLLM := .venv-vllm
LORA_RESOLVER := inference_services/lora_resolver
TORCH := torch==2.13.0
UV := $(VENV)/bin/uv pip install --quiet

.PHONY: demo test lint setup bench-index bench-scale bench-store bench-retrieval bench-server bench-serving bench-quantization bench-base-model bench-finetune bench-judge bench-gate screenshots images notebooks clean

demo: setup
	@$(VENV)/bin/cia demo

test: setup
	@$(VENV)/bin/python -m pytest

lint: $(VENV)/.ready
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

bench-index: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.index_speed

bench-scale: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.scale

bench-store: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.vector_store

bench-retrieval: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.retrieval $(ARGS)

bench-server: setup
	@$(VENV)/bin/python -m benchmarks.server $(ARGS)

bench-serving: setup
	@$(VENV)/bin/python -m benchmarks.serving $(ARGS)

bench-quantization: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.quantization $(ARGS)

bench-base-model: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.base_model $(ARGS)

bench-finetune: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.finetune $(ARGS)

bench-judge: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.judge

bench-gate: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.gate

# PUSH_TO=registry.example/team pushes them and prints the settings that name them by digest.
images:
	@$(PYTHON) images/build.py $(if $(PUSH_TO),--push-to $(PUSH_TO)) $(ARGS)

# Runs them all again and keeps what they print.
notebooks: $(VENV)/.ready
	@$(VENV)/bin/python -m notebooks.execute

screenshots: $(VENV)/.ready
	@$(VENV)/bin/python -m benchmarks.page_screenshot

setup: $(VENV)/.ready $(VLLM)/.ready

# PyTorch goes through pip alone, which also finds a CPU build that lies on the machine or in PIP_FIND_LINKS; everything else through uv.
$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "setting up $(VENV) (about 2 GB)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv $(TORCH)
	@$(UV) --python $(VENV)/bin/python --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

# vLLM pins packages that DeepEval, Langfuse and all of MLflow contradict, so it lives alone, with MLflow's client for our plugin.
# The list is complete: nothing is resolved.
$(VLLM)/.ready: constraints-vllm.txt $(LORA_RESOLVER)/pyproject.toml | $(VENV)/.ready
	@echo "setting up $(VLLM) (about 3 GB)"
	@$(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(UV) --python $(VLLM)/bin/python --no-deps --requirement constraints-vllm.txt
	@$(UV) --python $(VLLM)/bin/python --no-deps --editable $(LORA_RESOLVER)
	@touch $@

clean:
	rm -rf .cia build dist .pytest_cache .ruff_cache .mypy_cache
