"""What every interface shows of a session: rows, text, notices, lineage, attempts."""
