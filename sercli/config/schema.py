"""The schema of a configuration: settings, types, meanings.

Hydra composes a configuration from ``conf/`` and checks it against these dataclasses. The groups
``augment``, ``model``, ``cell`` and ``activation`` are open: each choice has parameters of its own,
listed in its YAML file and checked by the class that it names (`sercli.config.component`).

Every setting can change a result, except ``experiment``, ``paths``, ``device``, ``recurrence``,
``launcher``, ``pretrain`` and ``trainer.keep_weights`` (`sercli.config.run_key`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ContextConfig:
    """Context turns of a target turn: one of the same speaker, one of the interlocutor.

    Attributes:
        choose: ``last``: the last earlier turn of each (IAAN). ``random``: a random turn of the
            dialogue by the right speaker; ``random_any``: by any speaker (our readings of
            RandIAAN, which the IAAN paper does not define further). ``none``: no turn.
        window: Preceding turns, of any label, among which ``last`` chooses (IAAN's code: 8).
        order: Order of turns: ``transcript`` (IAAN's code) or ``start_time``.
        past_only: Use a turn only if it ends before the target starts (IAAN's code: no).
        seed: Seed of the random choices.
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
        name: Name in tables.
        reader: Reader of the corpus' layout.
        root: Folder of the corpus; for a manifest, the file.
        classes: The task: emotion code of the corpus → class.
        context: Context turns.
        expected: Utterances per class in the complete corpus; empty: unknown.
        expected_in: Counts per part: a column of the manifest (``session``, ``split``,
            ``speaker``) → its value → name of a count → count. Names are the classes,
            ``utterances``, ``targets``, ``no_same_speaker``, ``no_interlocutor``, ``neither``
            (`sercli.corpora.expected_counts`).
        synthetic: True for generated speech.
        options: Parameters of the reader.
        of: Corpora of ``dataset=several``, by their choices. ``classes`` then maps their classes
            to those of the task.
        parts: Settings of these corpora, by choice; filled in on composition.
        dimensions: Dimensional labels to predict in place of the classes: some of ``valence``,
            ``arousal`` and ``dominance``; empty: classes.
        scale: Ends of the scale of the dimensional labels, as in [1, 5].
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
    of: list[str] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)
    dimensions: list[str] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)


def corpus_name(dataset: DatasetConfig) -> str:
    """Return the name that identifies a corpus; for generated speech it includes the seed.

    >>> corpus_name(DatasetConfig(name="synthetic", synthetic=True, options={"seed": 1}))
    'synthetic-1'
    """
    seed = dataset.options.get("seed") if dataset.synthetic else None
    return dataset.name if seed is None else f"{dataset.name}-{seed}"


@dataclass
class FeaturesConfig:
    """Acoustic features and their preprocessing.

    Attributes:
        name: Feature set.
        level: ``lld`` (low-level descriptors, one row per frame), ``lld_delta`` (with their
            deltas) or ``functionals`` (one row per utterance, neither truncated nor pooled).
        config: Path of a custom openSMILE configuration, with ``features=custom``.
        path: Folder of a pretrained encoder or of arrays, or file of word vectors, for the sets
            that read one.
        options: Parameters of the feature set.
        sampling_rate: Hz; audio is resampled before extraction.
        max_frames: Frames at which an utterance is truncated (IAAN: 2 500 = 25 s).
        pool: Frames averaged into one time step (IAAN: 5 = 50 ms).
        normalise: ``speaker`` (z-score over all frames of a speaker), ``corpus`` (over all frames
            of each of several corpora) or ``none``.
    """

    name: str = "iaan45"
    level: str = "lld"
    config: str | None = None
    path: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    sampling_rate: int = 16000
    max_frames: int = 2500
    pool: int = 5
    normalise: str = "speaker"


def _sides() -> dict[str, list[str]]:
    return {"train": ["train"], "dev": ["dev"], "test": ["test"]}


@dataclass
class ProtocolConfig:
    """Cross-validation folds and the selection of a training step.

    Attributes:
        name: Name in tables.
        folds: ``leave_one_out``: each session or speaker (``unit``) is the test split once.
            ``column``: one fold, whose splits are in a column of the manifest. ``speaker_pair``:
            one fold, tested on a random speaker of each gender (Tao & Liu 2018).
        unit: Left out by ``leave_one_out``: ``session``, ``speaker`` or ``corpus``.
        column: Column with the splits: ``split``, ``session``, ``speaker``, ``dialogue`` or
            ``corpus``.
        sides: Values of the column that mean ``train``, ``dev`` and ``test``; utterances with
            other values are left out.
        dev: Split that selects the step. ``next``: the session or speaker after the test one.
            ``column``: the one in the column. ``speaker``: a random speaker outside test.
            ``speakers``: random speakers outside test, of each corpus a share. ``dialogues``,
            ``utterances``: a random share outside test. ``test``: the test split itself, as in
            IAAN's official code; the result is then marked as test-selected.
        dev_share: Share of the utterances outside test, if dev is a share of them.
        seed: Seed of the random choices.
        same_speakers: Allow a speaker in several splits, for official splits that do so (ESD,
            MELD), with a warning and a caveat on the protocol card.
        refit: Once the step is selected, train a new model on train and dev together for as
            many steps, and test that one.
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
        name: ``adam``, ``adamw``, ``sgd`` or ``rmsprop`` of ``torch.optim``.
        lr: Learning rate.
        weight_decay: L2 penalty on all weights; of ``adamw`` decoupled from the gradient
            (Loshchilov & Hutter 2019).
        clip_norm: Maximum norm of the gradient over all parameters; null: no clipping.
        momentum: Momentum of ``sgd`` and ``rmsprop``.
        encoder_lr: Learning rate of the part ``encoder`` of a model, such as ``wav2vec2_tuned``;
            null: ``lr``.
    """

    name: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float | None = 5.0
    momentum: float = 0.0
    encoder_lr: float | None = None


@dataclass
class ScheduleConfig:
    """The learning rate over the steps of training.

    Attributes:
        name: ``none`` (constant), ``step`` (times ``factor`` every ``step_size`` steps), ``cosine``
            (from ``optim.lr`` to ``min_lr`` at the last of ``trainer.steps``), ``linear``
            (between the same values; the rate of an encoder falls by the same factor), or
            ``plateau`` (times ``factor`` when dev UA has not risen for more than ``patience``
            evaluations).
        warmup: Steps of linear warm-up to ``optim.lr``, before any of these; 0: none.
        step_size: Steps between reductions by ``step``.
        factor: Factor of a reduction by ``step`` and ``plateau``.
        patience: Evaluations without a better dev UA that ``plateau`` allows.
        min_lr: Learning rate below which ``cosine``, ``linear`` and ``plateau`` do not go.
    """

    name: str = "none"
    warmup: int = 0
    step_size: int = 300
    factor: float = 0.1
    patience: int = 2
    min_lr: float = 0.0


@dataclass
class TrainerConfig:
    """Training schedule and loss.

    Attributes:
        steps: Maximum number of training steps of a fold.
        batch_size: Utterances per step.
        batches: ``similar`` (utterances of similar length, padded to the longest) or
            ``cut_to_last`` (IAAN's official code: random ones, padded or truncated to the longest
            turn of the last example; evaluated in batches of twice the size).
        accumulate: Batches per step, whose gradients are averaged.
        eval_every: Evaluate every N steps.
        patience: Evaluations without a better dev UA before early stopping; null: never.
        label_smoothing: Probability mass spread over all classes (IAAN: 0.1).
        class_weights: ``none``, or ``balanced``: inverse frequency in the fold's training set.
        focal_gamma: Focusing parameter γ of the focal loss (Lin et al. 2017: 2); 0: off.
        labels: Labels that training uses: ``majority`` (the label of the utterance), ``soft`` (the
            share of its raters for each class) or ``rater`` (each rater's label, an item each).
            Evaluation always uses the label of the utterance.
        min_ratings: With ``rater``: raters with fewer labels count as one, "other" (Ando et al.
            2021: 100 on MSP-Podcast, 500 on IEMOCAP).
        ccc_weights: With ``dataset.dimensions``: weights of the dimensions in the loss, by name;
            of those not named 1 (Atmaja & Akagi 2020: 0.7 arousal, 0.2 valence, 1 liking).
        keep_weights: Weights that a record keeps: ``all``; ``winner``: of a search those of the
            best trial on dev alone; ``none``. ``verify`` and ``rerun`` need no weights;
            ``predict``, ``export`` and ``attend`` do. Never part of a run's key.
    """

    steps: int = 1000
    batch_size: int = 32
    batches: str = "similar"
    accumulate: int = 1
    eval_every: int = 100
    patience: int | None = 5
    label_smoothing: float = 0.1
    class_weights: str = "none"
    focal_gamma: float = 0.0
    labels: str = "majority"
    min_ratings: int = 100
    ccc_weights: dict[str, float] = field(default_factory=dict)
    keep_weights: str = "all"


@dataclass
class AReLUConfig:
    """Parameters of AReLU (Chen et al. 2020), if ``activation=arelu``.

    Attributes:
        alpha: Initial slope of the negative part.
        beta: Initial amplification of the positive part, 1 + sigmoid(beta).
        alpha_min: Lower clamp of alpha (AR-GRU variant II: 0).
        alpha_max: Upper clamp of alpha.
        learn: Train alpha and beta.
        share: Scope of one alpha and beta: each ``direction`` of each layer, each ``layer``, or
            the whole ``model`` (the AR-GRU paper does not say; our choice: layer).
        per_unit: One alpha and beta per hidden unit (Chen et al.: no).
    """

    alpha: float = 0.01
    beta: float = 1.0
    alpha_min: float = 0.01
    alpha_max: float = 0.99
    learn: bool = True
    share: str = "layer"
    per_unit: bool = False


@dataclass
class AdversaryConfig:
    """Adversarial training against a column of the manifest, for any model.

    Attributes:
        column: ``none``, ``speaker`` or ``corpus``.
        weight: Factor λ of the reversed gradient.
        hidden: Hidden units of the adversary.
    """

    column: str = "none"
    weight: float = 0.1
    hidden: int = 64


@dataclass
class InitConfig:
    """Initial weights from a trained model or a published file, instead of random ones.

    Attributes:
        run: A run, as its key, folder or experiment, or a model folder; null: random weights.
        file: Weights in the layout that the authors of the model published, as safetensors, for
            ``model=cnn14``; null: none.
        fold: Fold of the run whose weights every fold starts from; null: the fold of the same
            name where both runs have the same corpus and folds, else the fold with the best dev UA
            of those that have seen no test utterance.
        seed: Seed of the run whose weights every seed starts from; null: the same seed if the run
            has it, else the first seed of the run.
        train: ``all`` weights, or the ``head`` only: the tensors whose shapes depend on the number
            of classes or of values of an auxiliary task, and those that start anew because
            pre-training has none. The others then stay as they are.
        digest: SHA-256 of the weights. It is filled in when they are read, and enters the key
            of the run instead of the name; if it is set, other weights are refused.
    """

    run: str | None = None
    file: str | None = None
    fold: str | None = None
    seed: int | None = None
    train: str = "all"
    digest: str | None = None


@dataclass
class PretrainConfig:
    """Pre-training by ``sercli pretrain``; no part of a run's key.

    Attributes:
        objective: ``cpc`` (contrastive, without labels), ``fomaml`` (first-order MAML, a task per
            corpus), ``sequential`` (one corpus after the other) or ``alternating`` (a batch of
            each in turn).
        use: ``all`` utterances, in one network per seed; or ``folds``: for each fold of the
            protocol those of its training speakers.
        tasks: Tasks of a step of ``fomaml``, each a draw from one corpus (MetaSER: 8).
        inner_lr: Learning rate within a task (MetaSER: 2e-4).
        inner_steps: Steps within a task (MetaSER: 1).
        support: Utterances of each class for the steps within a task (MetaSER's code: 125).
        query: Utterances of each class for the loss after them (MetaSER's code: 10).
    """

    objective: str = "cpc"
    use: str = "all"
    tasks: int = 8
    inner_lr: float = 2e-4
    inner_steps: int = 1
    support: int = 16
    query: int = 10


@dataclass
class RecurrenceConfig:
    """Computation of the recurrences; never part of a run's key.

    Attributes:
        backend: ``eager`` (plain PyTorch, on any device), ``cpp`` (the fused CPU kernel) or
            ``auto`` (the fused kernel where it can run, else eager).
    """

    backend: str = "auto"


@dataclass
class PathsConfig:
    """Folders; never part of a run's key.

    Attributes:
        data: Generated corpora.
        store: Feature store.
        runs: Run records.
    """

    data: str = "data"
    store: str = "store"
    runs: str = "runs"


@dataclass
class LauncherConfig:
    """Execution of the workers of a sweep; never part of a run's key.

    All but ``name`` is for ``submitit``; the defaults are our choice.

    Attributes:
        name: ``local`` (processes of this machine) or ``submitit`` (jobs of a cluster).
        executor: ``slurm``, or ``local``: submitit's processes on this machine.
        array: Number of workers, each a job of the array.
        minutes: Time limit of a job.
        signal_seconds: Time before the limit at which a job is asked to shut down.
        cpus: Cores per job.
        memory_gb: Memory per job.
        gpus: GPUs per job, 0 or 1; a worker uses one.
        partition: Partition of the cluster; null: its default.
        account: Account to charge; null: the user's default.
        setup: Shell commands to run before the worker.
        sbatch: Further options of sbatch, by name.
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
    """A complete configuration.

    Attributes:
        dataset: Corpus and task.
        features: Acoustic features.
        streams: Further features of the turns to classify: name → feature set, for the models that
            read several. ``streams.text=word_vectors`` chooses a set of ``features``, whose
            settings are then ``streams.text.path`` and so on.
        protocol: Folds and selection.
        augment: Augmentations of the training turns: name → settings; empty: none.
        model: Model.
        cell: Recurrent cell of the model.
        activation: Activation of the candidate in the cell.
        optim: Optimiser.
        schedule: Learning rate over the steps of training.
        trainer: Training schedule and loss.
        arelu: Parameters of AReLU, if it is the activation.
        adversary: Adversarial training.
        init: Initial weights.
        pretrain: Pre-training.
        precision: ``float32``, or ``bf16``: autocast in training and evaluation, products in
            bfloat16; weights, states, sums and the optimiser stay in float32.
        seeds: Seeds; every fold is trained once per seed.
        experiment: Name of the experiment, the folder of its records.
        paths: Folders.
        device: Device of training, and of encoders in extraction: ``auto`` (a GPU where there is
            one), ``cpu``, ``cuda``, …
        recurrence: Computation of the recurrences.
        launcher: Execution of the workers of a sweep.
    """

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    streams: dict[str, FeaturesConfig] = field(default_factory=dict)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    augment: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    cell: dict[str, Any] = field(default_factory=dict)
    activation: dict[str, Any] = field(default_factory=dict)
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    arelu: AReLUConfig = field(default_factory=AReLUConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    init: InitConfig = field(default_factory=InitConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    precision: str = "float32"
    seeds: list[int] = field(default_factory=lambda: [0])
    experiment: str = "default"
    paths: PathsConfig = field(default_factory=PathsConfig)
    device: str = "auto"
    recurrence: RecurrenceConfig = field(default_factory=RecurrenceConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)


def features_by_key(config: Config) -> dict[str, FeaturesConfig]:
    """Return the features of a configuration and of its streams, by their keys.

    >>> list(features_by_key(Config(streams={"text": FeaturesConfig("word_vectors")})))
    ['features', 'streams.text']
    """
    streams = {f"streams.{name}": features for name, features in config.streams.items()}
    return {"features": config.features, **streams}
