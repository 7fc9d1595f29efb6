"""Runs: what the server does with an assessment run, from its hosts to its verdict."""
