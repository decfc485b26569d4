# EnlightenGAN on ExDark and VOC (Table 2), as its authors train it (VITA-Group/EnlightenGAN @ b034984,
# scripts/script.py, options/base_options.py, options/train_options.py, data/unaligned_dataset.py): losses, optimisers,
# 100 + 100 epochs of batches of 32 crops of 320 pixels, mirrored both ways. They share a batch among three GPUs, each
# with statistics of its own; here they are those of the whole batch.
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/enlightengan.py --export weights/enlightengan.safetensors
_base_ = ["../_base_/training.py"]

train_dataloader = dict(batch_size=32, dataset=dict(crop=320, flips=("left_right", "up_down")))
model = dict(
    type="EnlightenGAN",
    generator=dict(type="EnlightenGANGenerator", width=32, attention="gray"),
    discriminator=dict(type="EnlightenGANDiscriminator", width=64, layers=5),
    patch_discriminator=dict(type="EnlightenGANDiscriminator", width=64, layers=4),
    # The weights of VGG's authors, fed without their mean, and without the fourth pooling, so that the map of a patch
    # of 32 pixels has 4x4 places.
    features=dict(type="VGG16Features", layer="conv5_1", relu=True, form=dict(order="bgr", top=255.0), poolings=3),
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
