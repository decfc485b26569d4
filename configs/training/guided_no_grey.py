# Ablation (figure 3d): the attention without the grey map, x_a = sigmoid(U(phi(x))^gamma).
_base_ = ["guided.py"]

model = dict(generator=dict(attention=dict(grey=False)))
