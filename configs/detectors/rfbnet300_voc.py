# RFBNet300, VGG16, trained on VOC2007+2012 trainval: the paper's detector. The official weights (MIT;
# GOATmessi8/RFBNet) give 80.7 mAP on VOC2007 test (11 points) as published; those of 80.5 load as well, into the
# structure of their time.
# Schedule: train_RFB.py of that repository (batch 32, 300 epochs, steps at 150, 200 and 250).
_base_ = ["mmdet::pascal_voc/ssd300_voc0712.py"]
custom_imports = dict(imports=["duskbench.pipeline.networks.rfbnet", "duskbench.pipeline.networks.ssd_head"])

detector = dict(
    type="rfbnet",
    checkpoint="rfbnet/RFB_vgg_80.7.pth",
    name="rfbnet300_voc",
    # RFBNet's reader takes 1 from all four coordinates, and its evaluation gives it back.
    ends_on_last_pixel=True,
)

input_size = 300
mean_bgr = [104.0, 117.0, 123.0]
model = dict(
    _delete_=True,
    type="SingleStageDetector",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=mean_bgr, std=[1, 1, 1], bgr_to_rgb=False, pad_size_divisor=1
    ),
    backbone=dict(
        type="RFBVGG",
        init_cfg=[
            dict(type="Kaiming", layer="Conv2d"),
            dict(type="Constant", val=1, layer="BatchNorm2d"),
            dict(type="Pretrained", checkpoint="open-mmlab://vgg16_caffe"),
        ],
    ),
    bbox_head=dict(
        type="PredictingSSDHead",
        num_classes=20,
        in_channels=(512, 1024, 512, 256, 256, 256),
        anchor_generator=dict(
            type="ClippedSSDAnchorGenerator",
            input_size=input_size,
            strides=[8, 16, 32, 64, 100, 300],
            ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
            min_sizes=[30, 60, 111, 162, 213, 264],
            max_sizes=[60, 111, 162, 213, 264, 315],
        ),
        bbox_coder=dict(
            type="DeltaXYWHBBoxCoder",
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[0.1, 0.1, 0.2, 0.2],
            clip_border=False,
        ),
    ),
    train_cfg=dict(
        assigner=dict(
            type="MaxIoUAssigner",
            pos_iou_thr=0.5,
            neg_iou_thr=0.5,
            min_pos_iou=0.0,
            ignore_iof_thr=-1,
            gt_max_assign_all=False,
        ),
        sampler=dict(type="PseudoSampler"),
        smoothl1_beta=1.0,
        allowed_border=-1,
        pos_weight=-1,
        neg_pos_ratio=3,
        debug=False,
    ),
    # test_RFB.py: all scores above 0.01 go into NMS, whose cpu_nms and gpu_nms add 1 to widths. split_thr 0 makes mmcv
    # go class by class; moving the classes apart instead would let unclipped boxes of two classes meet.
    test_cfg=dict(
        nms_pre=1_000_000,
        nms=dict(type="nms", iou_threshold=0.45, offset=1, split_thr=0),
        min_bbox_size=0,
        score_thr=0.01,
        max_per_img=200,
    ),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Expand", mean=mean_bgr, to_rgb=False, ratio_range=(1, 4)),
    dict(type="MinIoURandomCrop", min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3),
    dict(type="Resize", scale=(input_size, input_size), keep_ratio=False),
    dict(type="RandomFlip", prob=0.5),
    dict(
        type="PhotoMetricDistortion",
        brightness_delta=32,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5),
        hue_delta=18,
    ),
    dict(type="PackDetInputs"),
]
voc_trainval = dict(type="VOCDataset", data_root="data/VOCdevkit/", pipeline=train_pipeline)
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        ignore_keys=["dataset_type"],
        datasets=[
            dict(
                ann_file=f"{year}/ImageSets/Main/trainval.txt",
                data_prefix=dict(sub_data_root=f"{year}/"),
                filter_cfg=dict(filter_empty_gt=True, min_size=32),
                **voc_trainval,
            )
            for year in ("VOC2007", "VOC2012")
        ],
    ),
)
train_cfg = dict(_delete_=True, type="EpochBasedTrainLoop", max_epochs=300, val_interval=10)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=4e-3, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=2.5e-4, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type="MultiStepLR", by_epoch=True, milestones=[150, 200, 250], gamma=0.1),
]
