"""YAML and flags in, one frozen value out; every complaint is one line that names file, key and remedy."""

from settings.base import Settings, UserError
from settings.load import difference, load, overrides_from_flags, read_yaml

__all__ = ["Settings", "UserError", "difference", "load", "overrides_from_flags", "read_yaml"]
