"""The formats that sessions are imported from: `is_log` knows a file, `read_log` reads it."""
