"""The answer server under load: beside vLLM itself, without a model, and over time."""
