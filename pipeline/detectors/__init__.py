"""Frozen detectors behind one interface; `base.py` holds the contract."""
