# What every benchmark of the project has in common: the enhancers and the protocol (docs/protocol.md).
enhancers = [
    "input",
    "lime",
    "enlightengan",
    "cyclegan",
    "zero_dce",
    "guided",
    "he",
    "clahe",
    "retinexnet",
    "sci",
]
protocol = dict(
    iou_threshold=0.5,
    iou_match=">",
    plus_one=False,
    ap="11point",
    cup_images="keep",
    niqe_luma="rgb2gray",
)
# Whether the table also has parameters, GFLOPs and peak memory of each enhancer (docs/enhancers.md).
costs = False
