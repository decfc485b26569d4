# DRIT (night to day and back) with its authors' settings: Adam 1e-4 and 4e-5, batch 2, 600 + 600 epochs of crops of 216
# pixels out of images resized to 256x256, the losses of the paper (HsinYingLee/DRIT @ f19f50a, src/options.py,
# src/dataset.py, src/model.py); the authors stop at 500,000 steps at the latest.
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/drit.py --export weights/drit.safetensors
_base_ = ["../_base_/training.py"]

train_dataloader = dict(batch_size=2, dataset=dict(crop=216, resize=256, resampling="bicubic"))
schedule = dict(unit="epochs", constant=600, decay=600)
model = dict(
    type="DRITModel",
    generator=dict(type="DRITGenerator", width=64),
    discriminator=dict(type="DRITDiscriminator", width=64),
    content_discriminator=dict(type="DRITContentDiscriminator", width=64),
    interval=3,
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)),
    discriminators=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)),
    content_discriminator=dict(
        optimizer=dict(type="Adam", lr=4e-5, betas=(0.5, 0.999), weight_decay=1e-4), clip_grad=dict(max_norm=5.0)
    ),
)
