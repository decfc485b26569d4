# The attention plugged into the U-Net that the paper's own sentences describe, eight blocks and nothing below them, so
# without a level at 1/16 and with three reduced sizes of the attention.
_base_ = ["guided.py"]

model = dict(
    generator=dict(
        generator=dict(_delete_=True, type="UNet", in_channels=4, width=32, blocks=8, norm="batch"),
    ),
)
