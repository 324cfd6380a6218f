"""How the base model is made, from pinned packages to a model folder: see ``__main__``."""
