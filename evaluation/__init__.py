"""Sample a model on problems once; select, score and compare from what was kept."""
