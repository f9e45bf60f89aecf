"""The formats that sessions are exported to: one module each, with a function `write`."""
