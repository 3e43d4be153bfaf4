"""From a journey to one long thought: telling, smoothing, and the gate that both must pass (design section 6)."""
