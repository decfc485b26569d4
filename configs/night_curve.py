_base_ = ["_base_/voc.py"]

# Lit photos of VOC; `duskbench night-curve` darkens them itself.
title = "Night curve: VOC photos in less and less light"
data = dict(root="data/VOCdevkit/VOC2007", layout="voc", split="test")
enhancers = ["input", "lime", "enlightengan", "zero_dce", "guided", "gamma", "clahe"]
metrics = ["voc_ap"]
