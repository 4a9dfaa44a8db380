"""The schema of a configuration: what can be set, its type and its meaning.

Hydra composes a configuration from ``conf/`` and holds it to these dataclasses. The groups
``model``, ``cell`` and ``activation`` are open: each choice has parameters of its own, which
its YAML file lists and the class that it names checks (`sercli.config.component`).

Everything here can change a result, except ``experiment``, ``paths``, ``device``,
``recurrence`` and ``launcher`` (`sercli.config.run_key`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ContextConfig:
    """Which other turns of a dialogue a target turn sees: one of its speaker, one of another.

    Attributes:
        choose: ``last``: the last earlier turn of each (IAAN). ``random``: any turn of the
            dialogue by the right speaker; ``random_any``: by whatever speaker (our readings of
            RandIAAN, which the IAAN paper does not define further). ``none``: no turn.
        window: How many preceding turns ``last`` searches, of any label (IAAN's code: 8).
        order: ``transcript`` (IAAN's code) or ``start_time``.
        past_only: Whether a turn must have ended before the target starts (IAAN's code: no).
        seed: Of the random choices.
    """

    choose: str = "last"
    window: int = 8
    order: str = "transcript"
    past_only: bool = False
    seed: int = 0


@dataclass
class DatasetConfig:
    """A corpus and the task on it.

    Attributes:
        name: The name in tables.
        reader: Which reader understands its layout.
        root: Folder of the corpus (of a manifest: its file).
        classes: The task: emotion code of the corpus → class.
        context: Context turns.
        expected: How many utterances of each class the complete corpus has; empty: unknown.
        expected_in: The same and more for its parts: a column of the manifest (``session``,
            ``split``, ``speaker``) → its value → name of a count → count. Names are the
            classes, ``utterances``, ``targets``, ``no_same_speaker``, ``no_interlocutor``,
            ``neither`` (`sercli.corpora.expected_counts`).
        synthetic: Whether the speech is generated.
        options: Parameters of the reader.
    """

    name: str = ""
    reader: str = ""
    root: str | None = None
    classes: dict[str, str] = field(default_factory=dict)
    context: ContextConfig = field(default_factory=ContextConfig)
    expected: dict[str, int] = field(default_factory=dict)
    expected_in: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    synthetic: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class FeaturesConfig:
    """Frames of an utterance, and what is done to them before a model sees them.

    Attributes:
        name: Feature set.
        level: ``lld`` (low-level descriptors, a row per frame), ``lld_delta`` (and their slopes)
            or ``functionals`` (one row per utterance, which is neither clipped nor pooled).
        config: A user's own openSMILE configuration file, with ``features=custom``.
        options: Parameters of the feature set.
        sampling_rate: Hz; audio is resampled to it before extraction.
        max_frames: Frames kept of an utterance (IAAN: 2 500 = 25 s).
        pool: Frames averaged into one step (IAAN: 5 = 50 ms).
        normalise: ``speaker`` (z-score over all frames of a speaker) or ``none``.
    """

    name: str = "iaan45"
    level: str = "lld"
    config: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    sampling_rate: int = 16000
    max_frames: int = 2500
    pool: int = 5
    normalise: str = "speaker"


def _sides() -> dict[str, list[str]]:
    return {"train": ["train"], "dev": ["dev"], "test": ["test"]}


@dataclass
class ProtocolConfig:
    """How utterances are divided, and which step of training counts.

    Attributes:
        name: The name in tables.
        folds: ``leave_one_out``: each unit tests once. ``column``: one fold, whose sides a column
            of the manifest states. ``speaker_pair``: one fold, in which a random speaker of each
            gender tests (Tao & Liu 2018).
        unit: What ``leave_one_out`` leaves out: ``session`` or ``speaker``.
        column: Which column states the sides: ``split``, ``session``, ``speaker`` or ``dialogue``.
        sides: Which of its values stand for ``train``, ``dev`` and ``test``; what has another
            value is left out.
        dev: What chooses the step. ``next``: the unit after the test unit. ``column``: the side
            that the column states. ``speaker``: a random speaker of what does not test.
            ``dialogues``, ``utterances``: a random share of these. ``test``: the test side itself,
            as in IAAN's official code; the result is then test-selected, and called so.
        dev_share: Share of the utterances that do not test, where dev is a share of them.
        seed: Of the random choices.
        same_speakers: Whether a speaker may stand on both sides, for official splits that are
            so (ESD, MELD); there is then a warning, and a mark on the protocol card.
        refit: Whether, once the step is chosen, a new model is trained on train and dev
            together for as many steps, and tested instead.
    """

    name: str = ""
    folds: str = "leave_one_out"
    unit: str = "session"
    column: str = "split"
    sides: dict[str, list[str]] = field(default_factory=_sides)
    dev: str = "next"
    dev_share: float = 0.1
    seed: int = 0
    same_speakers: bool = False
    refit: bool = False


@dataclass
class OptimConfig:
    """The optimiser.

    Attributes:
        name: ``adam``.
        lr: Learning rate.
        weight_decay: L2 penalty on all weights.
        clip_norm: Largest norm of the gradient over all parameters; null: no clipping.
    """

    name: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float | None = 5.0


@dataclass
class TrainerConfig:
    """Length and rhythm of training.

    Attributes:
        steps: Most training steps of a fold.
        batch_size: Utterances in a step.
        batches: ``similar`` (utterances of similar length, each padded to the longest) or
            ``cut_to_last`` (IAAN's official code: random ones, padded and cut to the longest turn
            of the last example; evaluated in batches of twice the size).
        eval_every: Steps between two looks at dev and test.
        patience: Looks without a better dev UA before training stops; null: never.
        label_smoothing: Probability mass spread over all classes (IAAN: 0.1).
        class_weights: ``none``, or ``balanced``: by the inverse of how often a class occurs in
            the fold's training set.
        focal_gamma: How strongly the loss minds what is still hard (Lin et al. 2017: 2); 0: not.
    """

    steps: int = 1000
    batch_size: int = 32
    batches: str = "similar"
    eval_every: int = 100
    patience: int | None = 5
    label_smoothing: float = 0.1
    class_weights: str = "none"
    focal_gamma: float = 0.0


@dataclass
class AReLUConfig:
    """The parameters of AReLU (Chen et al. 2020), wherever ``activation=arelu``.

    Attributes:
        alpha: Initial slope of the negative part.
        beta: Initial amplification of the positive part, 1 + sigmoid(beta).
        alpha_min: Lower clamp of alpha (AR-GRU variant II: 0).
        alpha_max: Upper clamp of alpha.
        learn: Whether alpha and beta are trained.
        share: What has an alpha and a beta of its own: each ``direction`` of each layer, each
            ``layer``, or the whole ``model`` (the AR-GRU paper does not say; our choice: layer).
        per_unit: Whether each unit has its own (Chen et al.: no).
    """

    alpha: float = 0.01
    beta: float = 1.0
    alpha_min: float = 0.01
    alpha_max: float = 0.99
    learn: bool = True
    share: str = "layer"
    per_unit: bool = False


@dataclass
class RecurrenceConfig:
    """How the loops over time are computed; never part of a run's key.

    Attributes:
        backend: ``eager`` (plain PyTorch, on any device), ``cpp`` (the fused CPU kernel) or
            ``auto`` (the fused kernel where it can run, else eager).
    """

    backend: str = "auto"


@dataclass
class PathsConfig:
    """Where things lie; never part of a run's key.

    Attributes:
        data: Generated corpora.
        store: The feature store.
        runs: Run records.
    """

    data: str = "data"
    store: str = "store"
    runs: str = "runs"


@dataclass
class LauncherConfig:
    """Where the workers of a sweep run; never part of a run's key.

    All but ``name`` is for ``submitit``; the values are our choice.

    Attributes:
        name: ``local`` (processes of this machine) or ``submitit`` (jobs of a cluster).
        executor: ``slurm``, or ``local``: submitit's processes on this machine.
        array: Workers, each a job of the array.
        minutes: Time limit of a job.
        signal_seconds: How long before its limit a job gets the signal to leave.
        cpus: Cores of a job.
        memory_gb: Memory of a job.
        gpus: GPUs of a job; a worker uses one.
        partition: Of the cluster; null: its default.
        account: Who pays; null: the user's default.
        setup: Shell lines before the worker starts.
        sbatch: Other options of sbatch, by name.
    """

    name: str = "local"
    executor: str = "slurm"
    array: int = 2
    minutes: int = 720
    signal_seconds: int = 90
    cpus: int = 4
    memory_gb: float = 16
    gpus: int = 0
    partition: str | None = None
    account: str | None = None
    setup: list[str] = field(default_factory=list)
    sbatch: dict[str, Any] = field(default_factory=dict)


@dataclass
class Config:
    """One configuration, whole.

    Attributes:
        dataset: The corpus and the task.
        features: What a model sees of an utterance.
        protocol: Folds and selection.
        model: The system.
        cell: Its recurrent cell.
        activation: The activation of the candidate in the cell.
        optim: The optimiser.
        trainer: Length and rhythm of training.
        arelu: α and β, where the activation is AReLU.
        precision: ``float32``, or ``bf16``: autocast in training and evaluation, products in
            bfloat16; weights, states, sums and the optimiser stay in float32.
        seeds: One training of every fold for each.
        experiment: Name of the folder of the records.
        paths: Where things lie.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, …
        recurrence: How the loops over time are computed.
        launcher: Where the workers of a sweep run.
    """

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    model: dict[str, Any] = field(default_factory=dict)
    cell: dict[str, Any] = field(default_factory=dict)
    activation: dict[str, Any] = field(default_factory=dict)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    arelu: AReLUConfig = field(default_factory=AReLUConfig)
    precision: str = "float32"
    seeds: list[int] = field(default_factory=lambda: [0])
    experiment: str = "default"
    paths: PathsConfig = field(default_factory=PathsConfig)
    device: str = "auto"
    recurrence: RecurrenceConfig = field(default_factory=RecurrenceConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
