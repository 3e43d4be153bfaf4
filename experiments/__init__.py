"""Questions put to the whole house, each answered by one command that writes its own page."""
