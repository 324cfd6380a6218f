"""The small base model that comes with the project: it reads five cards and a question, and says which card answers, if any.

``weights/`` is an ordinary Hugging Face folder, and its README the model card.
"""

from runtimes.base_model.shipped import install_base, resolve_base, shipped_base

__all__ = ["install_base", "resolve_base", "shipped_base"]
