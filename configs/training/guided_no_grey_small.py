# Ablation (figure 3d): the attention without the grey map, x_a = sigmoid(U(phi(x))^gamma). On two cores.
_base_ = ["guided_full_small.py"]

model = dict(generator=dict(attention=dict(grey=False)))
