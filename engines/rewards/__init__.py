"""Reward models: how likely each step of a solution is to be right, from 0 to 1, and no reason why."""
