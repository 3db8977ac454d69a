"""The catalogue of the paper's claims, in its order, each with the rule that judges it."""

from collections.abc import Callable
from typing import NamedTuple

from shared_geometry.claims import judging, rules
from shared_geometry.claims.judging import Found
from shared_geometry.experiment.controls import N_PERMUTATIONS

Condition = tuple[str, str]  # data set, architecture
CONDITIONS: tuple[Condition, ...] = (
    ("cifar10", "convnet"),
    ("cifar100", "convnet"),
    ("cifar10", "resnet18"),
    ("cifar100", "resnet18"),
)


class Claim(NamedTuple):
    """One claim of the paper."""

    name: str
    text: str
    place: str  # in the paper
    rule: str
    figure: str  # anchor of the figure that shows it
    judge: Callable[..., Found]
    trained: bool = False  # whether it is about networks that are trained until convergence
    architectures: tuple[str, ...] = ("convnet", "resnet18")


STATED = {
    ("cifar10", "convnet"): 0.91,
    ("cifar100", "convnet"): 0.89,
    ("cifar100", "resnet18"): 0.848,  # printed in the authors' code
}

_PROOF = f"off by less than {judging.EXACT:g}, and by more where the RSMs differ"
_INTERVAL = "95 % interval"
_NEARLY = (
    f"; intervals of older results that leave networks out only nearly count as {rules.TOO_SHORT} "
    "times as long"
)

THEORY = (
    Claim(
        "proposition",
        "Two networks have equal RSMs if, and only if, they are orthogonal transformations of one "
        "shared representation",
        "Proposition 1",
        _PROOF,
        "",
        rules.proposition,
    ),
    Claim(
        "eigenvalues",
        "The proof supposes distinct eigenvalues; here they are all equal",
        "Proposition 1, proof",
        _PROOF,
        "",
        rules.without_distinct_eigenvalues,
    ),
    Claim(
        "many",
        "The generalisation to N networks is straightforward; here N = 10",
        "before Proposition 1",
        _PROOF,
        "",
        rules.many_networks,
    ),
)

SIMULATION = (
    Claim(
        "finds-rotations",
        "SRM aligns copies that are rotations or permutations of one network",
        "Figure 2A, blue",
        f"corr(wRSM, iRSM) in shared space: {_INTERVAL} above {judging.HIGH}",
        "figure-2a",
        rules.finds_rotations,
    ),
    Claim(
        "native-copies",
        "Unaligned, the copies have nothing in common",
        "Figure 2A, brown",
        f"native corr(wRSM, iRSM): {_INTERVAL} contains 0 and is no wider than "
        f"{2 * judging.NO_STRUCTURE}, or lies within ±{judging.NO_STRUCTURE}",
        "figure-2a",
        rules.native_copies_differ,
    ),
    Claim(
        "ranks",
        "Linear and rank correlation are highly similar",
        "Figure 2, caption",
        f"Pearson and Kendall differ by at most {judging.NO_STRUCTURE}",
        "figure-2a",
        rules.ranks_agree,
    ),
)

EXPERIMENTS = (
    Claim(
        "rises",
        "Aligned, the inter-network RSM comes closer to the final within-network RSM "
        "through training",
        "Figure 3, top",
        f"in each layer, the {_INTERVAL} at the end lies above that before training{_NEARLY}",
        "figure-3-top",
        rules.geometry_rises,
        trained=True,
    ),
    Claim(
        "rises-now",
        "The same against the within-network RSM of the moment, as the authors' code draws it too",
        "the authors' code",
        f"in each layer, the {_INTERVAL} at the end lies above that before training{_NEARLY}",
        "figure-3-top",
        rules.agreement_rises,
        trained=True,
    ),
    Claim(
        "aligned",
        "At the end, orthogonal transformations align the networks very accurately",
        "section 3",
        f"in each layer, corr(wRSM, iRSM): {_INTERVAL} above {judging.HIGH}{_NEARLY}",
        "figure-3-top",
        rules.aligned,
        trained=True,
    ),
    Claim(
        "formless",
        "Unaligned, the inter-network RSM has no meaningful structure",
        "Figure 1B, section 3",
        f"in each layer, corr(wRSM, iRSM) lies among those of {N_PERMUTATIONS} random orders of "
        f"each network's channels (chance leaves that range in {200 / (N_PERMUTATIONS + 1):g} % "
        "of layers); older results put units in random order, whose range can be too narrow in a "
        f"convolutional layer: a value outside it {judging.UNDECIDED}",
        "rsm-triplet",
        rules.native_is_formless,
        trained=True,
    ),
    Claim(
        "depth",
        "Variance explained rises from early layers to deep ones",
        "Figure 3, middle",
        f"from each layer to the next, the {_INTERVAL}s lie apart, the deeper one higher",
        "figure-3-middle",
        rules.variance_rises_with_depth,
        trained=True,
        architectures=("convnet",),
    ),
    Claim(
        "consistency",
        "How well the networks' own RSMs agree follows the same pattern over layers",
        "Figure 3, bottom",
        f"rank correlation over layers at least {judging.HIGH} (in part: above 0 with p at most "
        f"{rules.CHANCE}; {judging.UNDECIDED}: above 0)",
        "figure-3-bottom",
        rules.consistency_follows_variance,
        trained=True,
    ),
)


def stated(share: float) -> Claim:
    """The claim that a rotation explains this share of the variance in the last hidden layer."""
    return Claim(
        "stated",
        "In the last hidden layer, a rotation explains the stated share of the variance",
        "section 3; for ResNet18, the authors' code",
        f"the {_INTERVAL} comes within {judging.NEAR} of the paper's value, its ends at most "
        f"{judging.CLOSE} from ours (in part: ours within {judging.CLOSE})",
        "figure-3-middle",
        rules.states(share),
        trained=True,
    )


CAPACITY = Claim(
    "capacity",
    "In the last hidden layer, variance explained is lower in ResNet18 than in the ConvNet",
    "section 3",
    f"there, the {_INTERVAL} of ResNet18 lies below that of the ConvNet, as of equally "
    "many networks",
    "figure-3-middle",
    rules.less_than,
    trained=True,
)
