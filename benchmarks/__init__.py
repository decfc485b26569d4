"""The harness: protocol, metrics, runs, tables and the command line."""
