_base_ = ["_base_/benchmark.py"]

title = "The bundled miniature: rendered night scenes"
data = dict(root="data/miniature", layout="exdark", split="test")
detector = "rfb_miniature"
# No weights are fetched for the main job: the enhancers here need none.
enhancers = [
    "input",
    "gamma",
    "he",
    "clahe",
    "lime",
    dict(type="dir", path="data/miniature/lit", label="Lit twins (bound)", upper_bound=True),
]
