"""What several test modules need; `tests/conftest.py` makes fixtures of it."""
