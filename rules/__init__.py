"""Rules: what can be observed, what a rule may say, what it means, and the rules themselves."""
