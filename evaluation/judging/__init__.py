"""How well steps are judged: critics and checkers against labelled steps."""
