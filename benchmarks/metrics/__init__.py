"""Metrics as functions of plain arrays."""
