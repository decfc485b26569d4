"""One file per enhancement method; `base.py` holds the contract."""
