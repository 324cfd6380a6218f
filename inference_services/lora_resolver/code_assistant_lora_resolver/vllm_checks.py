"""vLLM's own word on an adapter, before it is loaded: its limits of rank and its list of what it cannot serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from code_assistant_lora_resolver.errors import AdapterRefused

if TYPE_CHECKING:
    from vllm.config.lora import LoRAConfig


def check_by_vllm(name: str, folder: Path, lora_config: LoRAConfig) -> None:
    """Raise AdapterRefused with the sentence that vLLM would write to its log when it loads the adapter."""
    from vllm.lora.peft_helper import PEFTHelper

    try:
        PEFTHelper.from_local_dir(str(folder), None).validate_legal(lora_config)
    except (ValueError, TypeError, AttributeError) as error:
        raise AdapterRefused(f"vLLM does not serve {name}: {error}") from None
