"""Foreign code in a process of its own: a plug-in that crashes, hangs or changes what it is given harms nobody else."""
