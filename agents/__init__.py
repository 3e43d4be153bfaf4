"""The policy and the critic as AutoGen agents, and the personas they read from YAML."""
