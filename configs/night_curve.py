_base_ = ["_base_/benchmark.py"]

# Lit photos of VOC; `duskbench night-curve` darkens them itself.
title = "Night curve: VOC photos in less and less light"
data = dict(root="data/VOCdevkit/VOC2007", layout="voc", split="test")
# No VOC-trained detector ships: rfb_miniature knows rendered scenes only. Any other: --detector model.onnx
detector = "rfbnet300_voc"
enhancers = ["input", "lime", "enlightengan", "zero_dce", "guided", "gamma", "clahe"]
metrics = ["voc_ap"]
protocol = dict(
    classes=[
        "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ],
)  # fmt: skip
