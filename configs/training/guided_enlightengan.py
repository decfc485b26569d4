# The attention plugged into EnlightenGAN's U-Net, by configuration alone.
_base_ = ["guided.py"]

model = dict(
    generator=dict(
        generator=dict(_delete_=True, type="EnlightenGANGenerator", in_channels=4, width=32, attention="none"),
    ),
)
