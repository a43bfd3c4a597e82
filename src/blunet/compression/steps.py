"""The steps of a compression: one table of what each is called, trains and learns. No Keras here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from blunet.architecture import Network

StepName = Literal["pretrain", "transfer", "hint_encoder", "hint_decoder", "retrain", "binarise"]
HintPart = Literal["encoder", "decoder"]


@dataclass(frozen=True)
class Step:
    """A step of the compression.

    Attributes
    ----------
    name : str
        In settings, files and events.
    phase : int
        Of the method, 1 to 3: transfer learning, hint learning, residual binarisation.
    network : {"unet", "lightweight", "blunet"}
        The network that it trains.
    title : str
        What people read.
    purpose : str
        What the step does, for people who have not read the method.
    short_title : str
        The title where there is little space; steps that belong together may share one.
    hints : {"encoder", "decoder"} or None
        The part of the network whose feature maps are drawn to the teacher's. None: the step learns masks.
    takes_l2 : bool
        Whether large kernels may be penalised: those of float networks that learn masks.
    """

    name: StepName
    phase: int
    network: Network
    title: str
    short_title: str
    purpose: str
    hints: HintPart | None = None
    takes_l2: bool = False

    @property
    def learns_masks(self) -> bool:
        """Whether the step learns masks, so that it has an IoU; else it learns hints."""
        return self.hints is None


#: All steps by their names, in the order in which they run.
STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            "pretrain",
            1,
            "unet",
            "Pretraining on simulated images",
            "simulated",
            "The teacher, a large U-Net, first learns from simulated DIC images what a cell is.",
            takes_l2=True,
        ),
        Step(
            "transfer",
            1,
            "unet",
            "Transfer learning",
            "transfer",
            "The teacher goes on learning with your images.",
            takes_l2=True,
        ),
        Step(
            "hint_encoder",
            2,
            "lightweight",
            "Hints of the encoder",
            "hints",
            "A small network, the student, imitates what the first half of the teacher sees in an image.",
            hints="encoder",
        ),
        Step(
            "hint_decoder",
            2,
            "lightweight",
            "Hints of the decoder",
            "hints",
            "The student imitates the second half of the teacher as well, which draws the cells.",
            hints="decoder",
        ),
        Step(
            "retrain",
            2,
            "lightweight",
            "Retraining",
            "retrain",
            "The student learns from your outlines alone. This step decides most about the result.",
            takes_l2=True,
        ),
        Step(
            "binarise",
            3,
            "blunet",
            "Residual binarisation",
            "binarise",
            "The student's numbers are replaced by a few bits each, and it learns to live with them: this is BLU-Net, "
            "small and fast enough for any laptop.",
        ),
    )
}
assert tuple(STEPS) == get_args(StepName)
