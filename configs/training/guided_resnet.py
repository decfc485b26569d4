# The attention plugged into CycleGAN's generator, by configuration alone.
_base_ = ["guided.py"]

model = dict(
    generator=dict(
        generator=dict(_delete_=True, type="ResnetGenerator", in_channels=4, width=64, blocks=9, tanh=False),
    ),
)
