_base_ = ["_base_/benchmark.py"]

title = "DARK FACE: faces at night"
# The 6,000 labelled images are the release's training images; there is no labelled test split.
data = dict(root="data/darkface", layout="darkface", split="all")
# No detector of VOC or COCO knows faces, and none ships that does: --detector faces.onnx. Without one, images alone.
detector = None
protocol = dict(classes=["face"])
