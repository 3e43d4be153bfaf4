"""The record: what was asked, what was said, what became of it. Everything else is derived from here."""
