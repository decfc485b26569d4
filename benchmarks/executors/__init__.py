"""Where units of work become rows: in this process, in several of this machine, or on a cluster."""
