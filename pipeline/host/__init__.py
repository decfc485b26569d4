"""Enhancers and detectors that run in a process of their own; see `duskbench.data_tools.host`."""
