"""Hanzo IAM: the session-centred identity server."""
