"""What code says of itself, in plain English: what it takes, raises, sets and is for. Questions and answers are made of it."""
