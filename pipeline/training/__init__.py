"""Training on mmengine's Runner."""
