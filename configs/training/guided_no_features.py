# Ablation (figure 3c): the attention without the feature map, x_a = sigmoid(1 - x_gray). The perceptual loss stays.
_base_ = ["guided.py"]

model = dict(
    generator=dict(attention=dict(features=None)),
    perceptual=dict(type="VGG16Features", layer="conv5_1", form="caffe", scale=1.0),
)
