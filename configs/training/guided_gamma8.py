# Ablation: gamma 8 instead of 4 in eq. 3.
_base_ = ["guided.py"]

model = dict(generator=dict(attention=dict(gamma=8.0)))
