_base_ = ["_base_/benchmark.py"]

# Made with `duskbench data voc-dark data/VOCdevkit/VOC2007 data/voc_dark`.
title = "VOC-dark: VOC photos, darkened by a camera model"
data = dict(root="data/voc_dark", layout="voc", split="test", reference="lit")
# No VOC-trained detector ships: rfb_miniature knows rendered scenes only. Any other: --detector model.onnx
detector = "rfbnet300_voc"
enhancers = [
    "input",
    "lime",
    "enlightengan",
    "cyclegan",
    "zero_dce",
    "guided",
    "gamma",
    "he",
    "clahe",
    "lit",
]
# All of VOC: ground truth and detector share the twenty classes here, so none has to be left out as for ExDark.
protocol = dict(
    classes=[
        "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ],
)  # fmt: skip
