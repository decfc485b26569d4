# Ablation: no attention at all, the baseline GAN. The perceptual loss stays. On two cores.
_base_ = ["guided_full_small.py"]

model = dict(generator=dict(attention=None, generator=dict(in_channels=3)))
