"""How much memory a step takes, known before anything runs."""
