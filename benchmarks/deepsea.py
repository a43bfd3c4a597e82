"""What a public model for phase contrast reaches on the same files: DeepSea 0.0.3, whose package ships its weights.

    python benchmarks/deepsea.py DATA [--venv FOLDER] [--scales 0.25 0.375 0.5 0.75 1] [--sets dic-cho ...]

DATA is a folder with the open sets, as `shared/data/PROVENANCE.md` describes them. The script makes an environment of
its own with torch and the package (MIT licence), runs its segmentation network on the files that are reported, and
scores the result as `blunet evaluate` does. The network has no setting for the size of the cells, so each set is tried
at five scales; the one with the best AP50 counts, which favours DeepSea. For Zargari et al., Cell Reports Methods 2023.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blunet.dataset.pairs import Pair, find_pairs
from blunet.dataset.truth_masks import read_mask
from blunet.evaluation.scores import Scores, average_scores, score_labels
from blunet.images.frame_source import read_image
from blunet.segmentation.objects import label_components, remove_small_objects

PACKAGE = "deepsea==0.0.3"
NEEDED = ("torch", "numpy", "pillow", "setuptools")
#: Sets, and the stems of the files that are reported.
SETS = {
    "phase-usiigaci/test": [f"set{i}" for i in range(36, 46)],
    "dic-cho": [f"cho{i}" for i in range(31, 41)],
    "dic-hela": [f"t{i:03d}" for i in range(40, 50)],
    "dic-adherent": ["dic02_left"],
}
#: Pixels of the smallest part that DeepSea keeps, at its own scale.
SMALLEST = 20

#: What runs in the environment of its own: images (8 bits, .npy) to masks of the same names.
PREDICT = """
import sys
from importlib.util import find_spec
from pathlib import Path
import numpy as np, torch
folder = Path(find_spec("deepsea").submodule_search_locations[0])
sys.path.insert(0, str(folder))
from model import DeepSeaSegmentation
network = DeepSeaSegmentation(n_channels=1, n_classes=2, bilinear=True)
network.load_state_dict(torch.load(folder / "trained_models" / "segmentation.pth", map_location="cpu"))
network.eval()
for path in sorted(Path(sys.argv[1]).glob("*.npy")):
    image = torch.tensor(np.load(path).astype(np.float32) / 255)[None, None]
    with torch.no_grad():
        found = network((image - 0.5) / 0.5)[0]
    np.save(Path(sys.argv[2]) / path.name, (found.argmax(1)[0] > 0).numpy())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "deepsea-environment")
    parser.add_argument("--scales", type=float, nargs="+", default=[0.25, 0.375, 0.5, 0.75, 1.0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    arguments = parser.parse_args()
    python = make_environment(arguments.venv)
    print("| files | scale | IoU | F1 | AP50 | mAP |\n|---|---|---|---|---|---|")
    for name in arguments.sets:
        pairs = [pair for pair in find_pairs(arguments.data / name).pairs if pair.name in SETS[name]]
        scored = {scale: score_scale(python, pairs, scale) for scale in arguments.scales}
        best = max(scored, key=lambda scale: scored[scale].ap50)
        for scale, s in scored.items():
            mark = " (best)" if scale == best else ""
            print(f"| {name} | {scale:g}{mark} | {s.iou:.3f} | {s.f1:.3f} | {s.ap50:.3f} | {s.map:.3f} |", flush=True)


def make_environment(folder: Path) -> Path:
    """Make the environment, unless it is there; return its Python."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "complete"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *NEEDED], check=True, stdout=sys.stderr)
        subprocess.run([*pip, "--no-deps", PACKAGE], check=True, stdout=sys.stderr)
        done.touch()
    return python


def score_scale(python: Path, pairs: list[Pair], scale: float) -> Scores:
    """Return the mean scores of files that DeepSea sees at a scale."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "images", Path(folder) / "masks"
        given.mkdir()
        found.mkdir()
        for pair in pairs:
            np.save(given / f"{pair.name}.npy", prepare(read_image(pair.image), scale))
        subprocess.run([str(python), "-c", PREDICT, str(given), str(found)], check=True, stdout=sys.stderr)
        scores = []
        for pair in pairs:
            shape = read_image(pair.image).shape
            labels = enlarge(np.load(found / f"{pair.name}.npy"), (shape[0], shape[1]))
            scores.append(score_labels(labels > 0, labels, read_mask(pair.mask, (shape[0], shape[1]))))
    return average_scores(scores)


def prepare(image: NDArray[np.generic], scale: float) -> NDArray[np.uint8]:
    """Stretch an image (Y, X) to 8 bits and resample it to sides that the network takes."""
    values = image.astype(np.float64)
    grey = np.uint8(255 * (values - values.min()) / max(np.ptp(values), 1e-9))
    height, width = (max(16, int(n * scale) // 16 * 16) for n in grey.shape)
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))


def enlarge(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Label the parts of a mask, without specks, at the size of the image."""
    labels = remove_small_objects(label_components(mask), SMALLEST)
    return np.asarray(Image.fromarray(labels).resize(shape[::-1], Image.Resampling.NEAREST), np.int32)


if __name__ == "__main__":
    main()
