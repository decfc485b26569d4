# What the benchmarks on VOC's photos have in common.
_base_ = ["benchmark.py"]

# No VOC-trained detector ships: rfb_miniature knows rendered scenes only. Any other: --detector model.onnx
detector = "rfbnet300_voc"
# All of VOC: ground truth and detector share the twenty classes here, so none has to be left out as for ExDark.
protocol = dict(
    classes=[
        "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ],
)  # fmt: skip
