"""The RAG server in the cluster: ``server`` is what runs, ``exposure`` what leads people to it."""
