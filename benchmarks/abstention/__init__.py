"""How often the assistant declines: questions that the code answers, and questions that it does not."""
