"""The benchmark every night: a history, a comparison with a baseline, and a verdict that someone trusts."""
