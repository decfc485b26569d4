_base_ = ["miniature.py"]

title = "Every enhancer there is, on the bundled miniature"
# Those that a user must train or bring are left out, and those whose weights were never run here (retinexformer and
# cidnet). Weights that authors published are fetched when they are first needed; --weights DIR takes them from a
# folder, and a row whose weights cannot be had says so.
enhancers = [
    "input",
    "gamma",
    "he",
    "clahe",
    "npe",
    "ldr",
    "dhe",
    "lime",
    "zero_dce",
    "zero_dce_pp",
    "enlightengan",
    "cyclegan",
    "guided",
    "retinexnet",
    # Its restoration network was published where duskbench cannot fetch it.
    dict(type="kind", restoration=False),
    "sci",
    "ruas",
    "sgz",
    "uretinex",
    "iat",
    "psenet",
    "clip_lit",
    "pairlie",
    "lyt_net",
    "flol",
]
# Parameters, GFLOPs and peak memory of a picture of 640x480.
costs = True
