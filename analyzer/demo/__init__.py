"""The demo: one assessment of this host the long way round, and the traffic that it finds."""
