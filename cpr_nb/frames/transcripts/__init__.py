"""Transcripts of Claude Code as tables: what agents did on this machine, each answer once."""
