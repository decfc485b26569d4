# ForkGAN (night to day) with its authors' settings: Adam 2e-4, batch 1, 10 + 10 epochs of crops of 256x512 pixels out
# of images resized to 286x572, two discriminators of each kind, image pools of 50 (zhengziqiang/ForkGAN @ 8b0f66c,
# main.py).
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/forkgan.py --export weights/forkgan.safetensors
_base_ = ["../_base_/training.py"]

train_dataloader = dict(dataset=dict(crop=(256, 512), resize=(286, 572), resampling="bilinear"))
schedule = dict(constant=10, decay=10)
model = dict(
    type="ForkGANModel",
    generator=dict(type="ForkGenerator", width=64),
    discriminator=dict(type="ForkDiscriminator", width=32),
    classifier=dict(type="ForkClassifier", width=64),
    # Of the crops: train_dataloader.dataset.crop.
    image_size=(256, 512),
    copies=2,
    weight=10.0,
    pool_size=50,
)
optim_wrapper = dict(
    generators=dict(optimizer=dict(type="Adam", lr=2e-4, betas=(0.5, 0.999))),
    discriminators=dict(optimizer=dict(type="Adam", lr=2e-4, betas=(0.5, 0.999))),
    classifier=dict(optimizer=dict(type="Adam", lr=2e-4, betas=(0.5, 0.999))),
)
