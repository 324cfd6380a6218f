from __future__ import annotations

import json
from typing import Any

import pytest

from cia.errors import SettingsError
from cia.settings import load_settings
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.embeddings import embeddings_service


def embeddings(**variables: str) -> dict[str, Any]:
    names = {f"CIA_INFERENCE_SERVICES__EMBEDDINGS__{name}": value for name, value in variables.items()}
    return as_kubernetes_reads_it(embeddings_service(load_settings("cluster", names)))


def arguments(**variables: str) -> list[str]:
    return embeddings(**variables)["spec"]["predictor"]["containers"][0]["args"]


def test_stella_is_served_as_an_encoder_under_its_short_name() -> None:
    args = arguments()
    assert args[args.index("--model") + 1] == "/mnt/models/NovaSearch/stella_en_1.5B_v5/main"
    assert args[args.index("--served-model-name") + 1] == "stella_en_1.5B_v5"
    assert args[args.index("--runner") + 1] == "pooling"
    assert json.loads(args[args.index("--hf-overrides") + 1]) == {"is_causal": False}


def test_vectors_have_length_one_as_openais_have() -> None:
    args = arguments()
    assert json.loads(args[args.index("--pooler-config") + 1]) == {"use_activation": True}


def test_a_causal_embedding_model_is_left_causal() -> None:
    assert "--hf-overrides" not in arguments(BIDIRECTIONAL="false")


def test_its_part_of_the_memory_is_that_of_its_slices() -> None:
    args = arguments(GPU_SLICES="2")
    assert float(args[args.index("--gpu-memory-utilization") + 1]) == pytest.approx(0.36)
    limits = embeddings(GPU_SLICES="2")["spec"]["predictor"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "2"


def test_its_replicas_are_fixed() -> None:
    predictor = embeddings(REPLICAS="2")["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 2)


def test_more_slices_than_a_gpu_has_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"more than the 5 slices"):
        embeddings(GPU_SLICES="6")
