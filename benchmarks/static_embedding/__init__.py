"""Make the word vectors that retrieval carries."""
