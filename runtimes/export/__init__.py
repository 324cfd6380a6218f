"""An adapter and its base as one model: 16-bit weights for anything that reads Hugging Face folders, or GGUF for llama.cpp."""

from runtimes.export.export import FORMATS, PRECISIONS, ExportedModel, export_adapter

__all__ = ["FORMATS", "PRECISIONS", "ExportedModel", "export_adapter"]
