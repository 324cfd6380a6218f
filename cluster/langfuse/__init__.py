"""Traces, prompts and scores: Langfuse with the four stores that it keeps them in."""
