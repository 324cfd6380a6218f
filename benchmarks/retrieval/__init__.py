"""How well, how fast and in how much memory this project and its peers find code: one table from one run."""
