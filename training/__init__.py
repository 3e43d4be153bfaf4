"""Data in, a model folder out: SFT and DPO on TRL, with every token of a row accounted for."""
