"""What a model loses and gains in 16, 8 and 4 bits."""
