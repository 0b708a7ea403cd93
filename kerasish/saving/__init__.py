"""Files of models, weights and runs: whole or not there, and data only."""
