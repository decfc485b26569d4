# UNIT (night to day and back) with its authors' settings for day and night: Adam 1e-4, weight decay 1e-4, batch 1,
# 500,000 steps of crops of 480x640 pixels, networks of the paper (mingyuliutw/UNIT, branch version_02 @ 96def6b,
# exps/unit/day2night.yaml). Its pictures are of one camera and scaled by one factor; these are of many, and
# smaller ones are enlarged until a crop fits.
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/unit.py --export weights/unit.safetensors
_base_ = ["../_base_/training.py"]

train_dataloader = dict(dataset=dict(crop=(480, 640)))
schedule = dict(unit="steps", constant=500_000, decay=0)
model = dict(
    type="UNITModel",
    generator=dict(type="UNITGenerator", width=64, blocks=3, norm="none"),
    discriminators=dict(type="UNITDiscriminators", width=64),
    adversarial_weight=10.0,
    reconstruction_weight=100.0,
    cycle_weight=100.0,
    code_weight=0.1,
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)),
    discriminators=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)),
)
