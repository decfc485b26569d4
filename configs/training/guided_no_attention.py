# Ablation: no attention at all, the baseline GAN. The perceptual loss stays.
_base_ = ["guided.py"]

model = dict(
    generator=dict(attention=None, generator=dict(in_channels=3)),
    perceptual=dict(type="VGG16Features", layer="conv5_1", form="caffe", scale=1.0),
)
