"""Reads the images of one folder and fills another: `python theirs.py IN OUT`. It knows nothing of duskbench.

It could be in another repository, another environment or another language. What it writes has the file stem and the
size of what it read.
"""

# duskbench run miniature --enhancer input --enhancer "cmd:python examples/theirs.py {in} {out}"

import sys
from pathlib import Path

from PIL import Image, ImageOps

source, target = Path(sys.argv[1]), Path(sys.argv[2])
for file in sorted(source.iterdir()):
    image = Image.open(file).convert("RGB")
    ImageOps.autocontrast(image, cutoff=1).save(target / f"{file.stem}.png")
