"""Results: what outcomes say to people and programs, as findings and as one document."""
