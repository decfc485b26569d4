# Ablation: gamma 2 instead of 4 in eq. 3.
_base_ = ["guided.py"]

model = dict(generator=dict(attention=dict(gamma=2.0)))
