_base_ = ["_base_/voc.py"]

# Made with `duskbench data voc-dark data/VOCdevkit/VOC2007 data/voc_dark`.
title = "VOC-dark: VOC photos, darkened by a camera model"
# Several nights of a photo (`--nights`) are one photo more than once: intervals draw them together.
bootstrap = dict(cluster=r"(.+?)(?:_night\d+)?")
data = dict(root="data/voc_dark", layout="voc", split="test", reference="lit")
enhancers = ["input", "lime", "enlightengan", "cyclegan", "zero_dce", "guided", "gamma", "he", "clahe", "lit"]
