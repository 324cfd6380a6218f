"""What a LoRA of a repository gains on that repository's own questions, over the base model and over quoted places."""
