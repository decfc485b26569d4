_base_ = ["_base_/benchmark.py"]

title = "The bundled miniature: rendered night scenes"
data = dict(root="data/miniature", layout="exdark", split="test", reference="lit")
detector = "rfb_miniature"
# Those of Table 2, with the weights that ship: nothing is fetched for the main job.
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
    dict(type="lit", label="Lit twins (bound)", upper_bound=True),
]
