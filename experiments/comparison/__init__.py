"""Protocols side by side: arms, what each made of its tokens, and the page that says so."""
