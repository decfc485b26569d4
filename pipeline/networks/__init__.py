"""Network definitions, free of training and of files."""
