"""Questions about the method of measuring, answered by simulation; each prints its answer."""
