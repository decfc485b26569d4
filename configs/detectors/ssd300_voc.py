# SSD300, VGG16, trained on VOC2007+2012 trainval: mmdet's own config and checkpoint (Apache-2.0), 76.5 mAP on VOC2007
# test (11 points) as published.
_base_ = ["mmdet::pascal_voc/ssd300_voc0712.py"]

detector = dict(
    type="mmdet",
    checkpoint="mmdet/ssd300_voc0712_20220320_194658-17edda1b.pth",
    name="ssd300_voc",
    # mmdet's VOC reader takes 1 from all four coordinates.
    ends_on_last_pixel=True,
)
