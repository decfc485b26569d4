# Ablation (figure 3c): the attention without the feature map, x_a = sigmoid(1 - x_gray). The perceptual loss stays.
# On two cores.
_base_ = ["guided_full_small.py"]

model = dict(generator=dict(attention=dict(features=None)))
