# CycleGAN on two cores. The shipped weights are made by this file. Deviations from cyclegan.py: narrow and less deep
# networks, crops of 96 pixels out of images reduced without a change of shape, a short training.
_base_ = ["cyclegan.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
train_dataloader = dict(num_workers=1, dataset=dict(crop=96, resize=None, short_side=(108, 240), least_luma=0.03))
schedule = dict(unit="steps", constant=500, decay=300)
model = dict(
    generator=dict(width=16, blocks=6),
    discriminator=dict(width=16),
    image_size=96,
)
