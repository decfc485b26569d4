"""One self-contained HTML file of a run: table, intervals, break-downs, curves and pictures."""
