"""Language models behind an OpenAI-compatible address: the vLLM launch and its supervisor on this machine."""
