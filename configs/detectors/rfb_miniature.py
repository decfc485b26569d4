# The bundled small detector: RFBNet's modules at a seventh of the width, with normalisation in the base and a strided
# stem, trained from scratch on the lit part of the miniature (`duskbench data miniature` makes it).
#   duskbench train configs/detectors/rfb_miniature.py
_base_ = ["rfbnet300_voc.py"]
custom_imports = dict(
    imports=[
        "duskbench.pipeline.networks.rfbnet",
        "duskbench.pipeline.networks.ssd_head",
        "duskbench.pipeline.training.voc_boxes",
    ]
)

detector = dict(checkpoint="rfb_miniature", name="rfb_miniature", ends_on_last_pixel=False, batch_size=4)

classes = (
    "bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "dog", "motorbike", "person", "diningtable",
)  # fmt: skip
input_size = 192
norm = dict(type="BN", momentum=0.05, eps=1e-5)
model = dict(
    backbone=dict(
        stage_channels=(16, 16, 32, 64, 96),
        stage_depths=(1, 0, 2, 2, 1),
        stem_stride=2,
        fc_channels=160,
        extra_channels=(128, 128),
        tail_channels=(96,),
        base_norm_cfg=norm,
        norm_cfg=norm,
        init_cfg=[dict(type="Kaiming", layer="Conv2d"), dict(type="Constant", val=1, layer="BatchNorm2d")],
    ),
    bbox_head=dict(
        num_classes=len(classes),
        in_channels=(64, 160, 128, 128, 96),
        anchor_generator=dict(
            input_size=input_size,
            strides=[8, 16, 32, 64, 192],
            ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2]],
            min_sizes=[14, 30, 56, 90, 130],
            max_sizes=[30, 56, 90, 130, 180],
        ),
        bbox_coder=dict(clip_border=True),
    ),
    # Boxes are end-exclusive here, so widths are plain.
    test_cfg=dict(nms=dict(type="nms", iou_threshold=0.45, offset=0, split_thr=0), max_per_img=100),
)

data_root = "data/miniature/VOCdevkit/"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="RandomWindow", least=0.7, prob=0.5),
    dict(type="Resize", scale=(input_size, input_size), keep_ratio=False),
    dict(type="RandomFlip", prob=0.5),
    dict(
        type="PhotoMetricDistortion",
        brightness_delta=24,
        contrast_range=(0.7, 1.3),
        saturation_range=(0.7, 1.3),
        hue_delta=8,
    ),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(input_size, input_size), keep_ratio=False),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    # VOCBoxes learns the epoch when its workers are forked.
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="VOCBoxes",
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file="VOC2007/ImageSets/Main/trainval.txt",
        data_prefix=dict(sub_data_root="VOC2007/"),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="VOCBoxes",
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file="VOC2007/ImageSets/Main/test.txt",
        data_prefix=dict(sub_data_root="VOC2007/"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
val_dataloader = test_dataloader

train_cfg = dict(max_epochs=100, val_interval=1000)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-3, weight_decay=0.02),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=20.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=2, end=100, T_max=98, eta_min=2e-6, convert_to_iter_based=True),
]
custom_hooks = [dict(type="EpochOfDataset"), dict(type="CheckInvalidLossHook", interval=50, priority="VERY_LOW")]
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=20),
    checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=2),
)
randomness = dict(seed=0)
