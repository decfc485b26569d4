# CycleGAN on ExDark and VOC (Table 2), with its authors' settings: Adam 2e-4, batch 1, 100 + 100 epochs of crops of 256
# pixels out of images resized to 286x286 (junyanz/pytorch-CycleGAN-and-pix2pix @ 00d5574, options/base_options.py,
# options/train_options.py, data/base_dataset.py, models/cycle_gan_model.py).
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/cyclegan.py --export weights/cyclegan.safetensors
_base_ = ["../_base_/training.py"]

train_dataloader = dict(dataset=dict(crop=256, resize=286, resampling="bicubic"))
model = dict(
    type="CycleGAN",
    generator=dict(type="ResnetGenerator", width=64, blocks=9),
    discriminator=dict(type="PatchDiscriminator", width=64, layers=3, norm="instance"),
    # Side of the crops: train_dataloader.dataset.crop.
    image_size=256,
    cycle_weight=10.0,
    identity_weight=0.5,
    pool_size=50,
)
# One optimizer for both generators and one for both discriminators.
optim_wrapper = dict(
    generators=dict(optimizer=dict(type="Adam", lr=2e-4, betas=(0.5, 0.999))),
    discriminators=dict(optimizer=dict(type="Adam", lr=2e-4, betas=(0.5, 0.999))),
)
