# The paper's method on ExDark and VOC (Table 2), with the settings of its section 4.1. What it leaves open is read as
# EnlightenGAN has it, whose sentence on the generator the paper repeats: five levels down and four up, the width, the
# pooling of the attention, VGG-16 of its authors, batches of 32, 100 epochs at the full rate before the 100 to zero.
# docs/readings.md has the list. For smaller batches take norm="instance" too: batch normalisation learns from a batch's
# own statistics and enhances by averages, and those of few night photos are unlike any average.
# Whether these settings light a picture is not known: trainings far shorter than 200 epochs, SqueezeNet for VGG-16,
# left pictures as they were, and the extractor delays the light (docs/readings.md, "Whether the paper's settings
# light a picture"). guided_photos_small.py and guided_reconstruction_small.py light.
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/guided.py --export weights/guided.safetensors
_base_ = ["../_base_/training.py"]

train_dataloader = dict(batch_size=32)
features = dict(type="VGG16Features", layer="conv5_1", form="caffe", scale=1.0)
model = dict(
    type="GuidedGAN",
    generator=dict(
        type="AttentionGuided",
        generator=dict(
            type="EnlightenGANGenerator", in_channels=4, width=32, attention="none", norm="batch", zero_output=True
        ),
        attention=dict(type="FeatureGuidedAttention", features=features, gamma=4.0, output="rescaled"),
        pooling="max",
    ),
    discriminator=dict(type="MultiscaleDiscriminator", width=64, layers=3, scales=2),
    alpha=1.0,
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999))),
    discriminator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.5, 0.999))),
)
