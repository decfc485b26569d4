# EnlightenGAN on ExDark and VOC (Table 2), with its authors' losses and optimisers (VITA-Group/EnlightenGAN @ b034984,
# scripts/script.py, options/train_options.py) on crops and batches as the paper's other methods have them.
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/enlightengan.py --export weights/enlightengan.safetensors
_base_ = ["../_base_/training.py"]

model = dict(
    type="EnlightenGAN",
    generator=dict(type="EnlightenGANGenerator", width=32, attention="gray"),
    discriminator=dict(type="EnlightenGANDiscriminator", width=64, layers=5),
    patch_discriminator=dict(type="EnlightenGANDiscriminator", width=64, layers=4),
    features=dict(type="VGG16Features", layer="conv5_1", relu=True),
    patches=6,
    patch_size=32,
    feature_weight=1.0,
    # Of no effect on what the result is compared with: the network has to make up for it.
    darken_probability=0.5,
    darken_range=(2.0, 4.0),
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999))),
    discriminator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999))),
    patch_discriminator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999))),
)
