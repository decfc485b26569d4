# The feature extractor that ships: a narrow VGG taught by SqueezeNet 1.1 (ImageNet; any extractor of stride 16 will do)
# on photos of low and of normal light.
#   duskbench train configs/training/features.py --cfg-options data_root=DIR model.teacher.weights=squeezenet1_1.npz \
#     --export weights/features.safetensors
_base_ = ["../_base_/training.py"]

train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(crop=192, short_side=(192, 448)))
# Faster on CPUs for convolutions of this width.
channels_last = True
schedule = dict(unit="steps", constant=1000, decay=3000)
model = dict(
    type="FeatureDistillation",
    generator=dict(type="FeatureBase"),
    teacher=dict(type="SqueezeNetFeatures", layer="fire9", weights="squeezenet1_1.npz", aligned=True),
    channels=(128, 512),
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="AdamW", lr=2e-3, weight_decay=1e-2)),
    regressor=dict(optimizer=dict(type="AdamW", lr=2e-3, weight_decay=1e-2)),
)
