"""Serving the adapter in Production: promotion, rollback and death under load, and what vLLM's settings are worth."""
