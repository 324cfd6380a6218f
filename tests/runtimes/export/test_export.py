from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cia.errors import AdapterError, BusyError, InputError, OperationError
from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import Settings
from runtimes.export import export_adapter
from runtimes.export.llama_cpp import LlamaCpp
from runtimes.export.merging import load_model, logits


@pytest.fixture
def registered(settings: Settings, adapter: Path, base_folder: Path) -> Settings:
    """Settings of a registry that holds the adapter as version 1."""
    Registry(settings).register(adapter, {}, Decision(True, "promoted: a test"), base_folder)
    return settings


@pytest.fixture
def llama_of() -> Iterator[Any]:
    """Loads GGUF files and closes them after the test."""
    running: list[LlamaCpp] = []

    def load(path: str) -> LlamaCpp:
        running.append(LlamaCpp(Path(path), 128))
        return running[-1]

    yield load
    for llama in running:
        llama.close()


def test_a_registered_version_becomes_a_file_that_llama_cpp_answers_with(
    registered: Settings, tmp_path: Path, llama_of: Any
) -> None:
    out = tmp_path / "out"
    exported = export_adapter(registered, "code-assistant:1", out, "gguf", "q8_0")
    assert exported.file == str(out / "code-assistant-1-q8_0.gguf")
    assert sorted(path.name for path in out.iterdir()) == ["code-assistant-1-q8_0.gguf", "export.json"]
    facts = json.loads((out / "export.json").read_text())
    assert facts["difference"] == exported.difference < 0.1
    assert facts["versions"]["gguf"]
    answer, _ = llama_of(exported.file).chat([{"role": "user", "content": "Where is `get`?"}], 8)
    assert answer


def test_a_folder_becomes_merged_weights_that_answer_otherwise_than_the_base(
    settings: Settings, adapter: Path, base_folder: Path, tmp_path: Path
) -> None:
    import torch

    exported = export_adapter(settings, str(adapter), tmp_path / "out", "merged")
    assert (exported.precision, exported.name) == ("bf16", adapter.name)
    ids = torch.tensor([1, 300, 301])
    said = [logits(load_model(folder)[0], ids) for folder in (base_folder, tmp_path / "out")]
    assert (said[0] - said[1]).abs().max() > 0.5


def test_an_existing_folder_is_refused_and_left_alone(settings: Settings, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists; name a folder that does not"):
        export_adapter(settings, str(adapter), tmp_path, "merged")
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("format", "precision", "sentence"),
    [
        ("onnx", None, "choose merged or gguf"),
        ("merged", "q4_0", "merged weights come as bf16, f16, not as 'q4_0'"),
        ("gguf", "q2_k", "gguf weights come as f16, q8_0, q4_0"),
    ],
)
def test_an_unknown_format_is_told_what_there_is(
    settings: Settings, adapter: Path, tmp_path: Path, format: str, precision: str | None, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        export_adapter(settings, str(adapter), tmp_path / "out", format, precision)


def test_what_is_neither_a_version_nor_an_adapter_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a version nor a folder with an adapter"):
        export_adapter(settings, str(tmp_path), tmp_path / "out", "merged")
    with pytest.raises(InputError, match="there is no code-assistant:9"):
        export_adapter(settings, "9", tmp_path / "out", "merged")


def test_a_version_whose_base_was_made_anew_is_refused(
    settings: Settings, adapter: Path, base_folder: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(base_folder, tmp_path / "base")
    moved = shutil.copytree(adapter, tmp_path / "adapter")
    config = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    Registry(settings).register(moved, {}, Decision(True, "promoted: a test"), base)
    weights = bytearray((base / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (base / "model.safetensors").write_bytes(weights)
    with pytest.raises(AdapterError, match="was trained on other weights"):
        export_adapter(settings, "1", tmp_path / "out", "merged")


def test_a_base_without_a_gguf_converter_is_refused_before_it_is_merged(
    settings: Settings, adapter: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((base_folder / "config.json").read_text())
    base, moved = shutil.copytree(base_folder, tmp_path / "base"), shutil.copytree(adapter, tmp_path / "adapter")
    (base / "config.json").write_text(json.dumps(config | {"mlp_bias": True}))
    described = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(described | {"base_model_name_or_path": str(base)}))
    monkeypatch.setattr("runtimes.export.export.merge", lambda *_: pytest.fail("merged before it was refused"))
    with pytest.raises(InputError, match=r"convert_hf_to_gguf\.py"):
        export_adapter(settings, str(moved), tmp_path / "out", "gguf")
    assert not (tmp_path / "out").exists()


def test_a_failed_check_leaves_nothing(
    settings: Settings, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtimes.export.agreement.LARGEST_DIFFERENCE", {"f16": 1e-12})
    with pytest.raises(OperationError, match="the file is no use"):
        export_adapter(settings, str(adapter), tmp_path / "there" / "out", "gguf", "f16")
    assert list((tmp_path / "there").iterdir()) == []


def test_what_a_kill_left_goes_with_the_next_export_and_nothing_else(settings: Settings, adapter: Path, tmp_path: Path) -> None:
    for name in (".out.staging-dead", ".other.staging-alive"):
        (tmp_path / name).mkdir()
    export_adapter(settings, str(adapter), tmp_path / "out", "merged")
    assert sorted(path.name for path in tmp_path.iterdir() if path != settings.home) == [".other.staging-alive", "out"]


def test_a_second_export_at_the_same_time_is_told_to_wait(settings: Settings, adapter: Path, tmp_path: Path) -> None:
    from cia.durable_files import exclusive

    with exclusive(settings.home / "export.lock", "a test"), pytest.raises(BusyError, match="another process is exporting"):
        export_adapter(settings, str(adapter), tmp_path / "out", "merged")


def test_a_full_disk_is_told_in_a_sentence_and_leaves_nothing(adapter: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    export = (
        "import sys; from pathlib import Path; from cia.settings import Settings; from runtimes.export import export_adapter\n"
        "home, adapter, disk = sys.argv[1:]\n"
        "for format in ('merged', 'gguf'):\n"
        "    try:\n        export_adapter(Settings(home=Path(home)), adapter, Path(disk) / 'out', format)\n"
        "    except Exception as error:\n        print(type(error).__name__, error)\n"
    )
    script = f'mount -t tmpfs -o size=256k none {disk} || exit 99; "$0" -c "$@"; ls -A {disk}'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, export, str(tmp_path / "home"), str(adapter), str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("needs the right to mount a small disk")
    sentence = f"OperationError no space left on the disk for {disk}/out; free some and run the same command again"
    assert done.stdout.splitlines() == [sentence, sentence]
