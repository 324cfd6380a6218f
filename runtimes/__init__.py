"""Training: the small base model, LoRA fine-tuning, and the jobs that run it here or on a cluster."""
