"""Canonical text: rows as lines of JSON, of which there is one form only, and their digests."""
