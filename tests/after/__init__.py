"""Sessions that are planned to come after others."""
