"""The small base model that comes with the project: it reads five cards and a question, and says which card answers, if any.

``weights/`` is an ordinary Hugging Face folder, and its README the model card.
"""

from runtimes.base_model.shipped import LOCAL_BASE, base_to_train, install_base, shipped_base

__all__ = ["LOCAL_BASE", "base_to_train", "install_base", "shipped_base"]
