_base_ = ["_base_/benchmark.py"]

title = "NOD: people, bicycles and cars in the streets at night"
# Of one camera: --cfg-options data.camera=Nikon (or Sony).
data = dict(root="data/nod", layout="nod", split="test")
# Any detector of VOC or COCO knows the three classes.
detector = "rfbnet300_voc"
protocol = dict(classes=["person", "bicycle", "car"])
