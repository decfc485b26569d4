# CycleGAN on two cores, in about an hour: narrow and less deep, on small crops. The shipped weights are made by this
# file.
_base_ = ["cyclegan.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
train_dataloader = dict(num_workers=1, dataset=dict(crop=128, short_side=(144, 240)))
schedule = dict(unit="steps", constant=1500, decay=1500)
model = dict(
    generator=dict(width=24, blocks=6),
    discriminator=dict(width=24),
    image_size=128,
)
