# CycleGAN on two cores: narrow and less deep, on small crops, a short training. The shipped weights are made by this
# file.
_base_ = ["cyclegan.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
train_dataloader = dict(num_workers=1, dataset=dict(crop=96, short_side=(108, 240), least_luma=0.03))
schedule = dict(unit="steps", constant=500, decay=300)
model = dict(
    generator=dict(width=16, blocks=6),
    discriminator=dict(width=16),
    image_size=96,
)
