"""The command ``cpr``."""
