"""Live observation of features: every prediction's inputs, counted in the bins of a reference, and their drift."""
