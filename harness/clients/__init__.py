"""Clients: one file for each API, and the embedded model's server."""
