"""A worker: claims points of a study and trains them until none waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, reduce
from typing import Any

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.errors import BusyError, Interrupted, RequestError
from sercli.nn.recurrence.backend import use_backend
from sercli.progress import Progress
from sercli.results.environment import describe_code
from sercli.search.failures import cause_of
from sercli.search.leave import Leave, TimeIsUp, asked_to_leave
from sercli.search.order import WorkOrder
from sercli.search.presence import BEAT_SECONDS, Watch, Worker, present
from sercli.search.queue import POINT, Claim
from sercli.search.study import Study
from sercli.search.workshop import Shop, Trained, Workshop, data_name
from sercli.training.device import choose_device
from sercli.training.run import Watching

_HOW_TO_RUN = ("device=", "dataset.root=", "paths.", "recurrence.")
_BUSY_SECONDS = 1.0


class _Pruned(Exception):  # noqa: N818 - no error
    """A point is so bad that it is stopped."""


class _OtherDataError(RequestError):
    """This machine has another corpus; no point can be trained here."""


class _NoSense(Exception):  # noqa: N818 - no error
    """What a sampler proposes is excluded."""


class _Asked(Exception):  # noqa: N818 - no error
    """The fold is finished, and the worker was asked to leave."""


def work(
    order: WorkOrder,
    open_shop: Callable[[int | None, Progress], Shop] = Workshop,
    progress: Progress | None = None,
) -> int:
    """Work on a study until nothing waits, the study is stopped, or SIGTERM asks to leave.

    After SIGTERM the fold is finished, if that takes no longer than the grace time; the point is
    handed back, and whoever claims it goes on after its last finished fold.

    Args:
        order: Which study, and how to run here.
        open_shop: Makes what trains the points.
        progress: Where bars and notes go, unless it is as the order says.

    Returns:
        0, the exit status; what failed stands in the study.

    Raises:
        RequestError: There is no such study, a worker of that name is at work here, or an override
            would change results.
        SercliError: The storage was away for too long.
    """
    _check_overrides(order.overrides)
    progress = progress or Progress(quiet=order.quiet)
    with asked_to_leave(order.grace) as leave:
        study = Study(order.study, order.runs, order.storage, note=progress.note)
        with present(study.folder, order.name) as worker:
            try:
                with open_shop(order.crew, progress) as shop:
                    _Shift(study, worker, leave, order, progress, shop).work()
            except TimeIsUp:
                progress.note("asked to leave: the unfinished fold was given up")
            leave.wound_up()
            study.write_page()
    return 0


def _check_overrides(overrides: Sequence[str]) -> None:
    """Refuse what says more than how to run on a machine, or what this machine does not have."""
    for override in overrides:
        if not override.startswith(_HOW_TO_RUN) or override.startswith("paths.runs="):
            raise RequestError(
                f"'{override}': the points of a sweep are fixed; a worker may be told device=…, "
                "dataset.root=…, paths.data=…, paths.store=… and recurrence.…=…, and --runs"
            )
    if overrides:
        own = compose(overrides)
        choose_device(own.device)
        use_backend(own.recurrence.backend)


class _Shift:
    """The points that one worker trains."""

    def __init__(
        self,
        study: Study,
        worker: Worker,
        leave: Leave,
        order: WorkOrder,
        progress: Progress,
        shop: Shop,
    ) -> None:
        self._study, self._worker, self._leave = study, worker, leave
        self._order, self._progress, self._shop = order, progress, shop
        self._watch = Watch(study.folder, worker)
        study.patiently.away = self._watch.forget

    def work(self) -> None:
        waiting = self._study.counts().get("WAITING", 0)
        with self._progress.task(f"sweep {self._study.name}, points", waiting) as task:
            while not self._leave.asked and (claim := self._next()) is not None:
                self._do_or_hand_back(claim)
                task.advance()

    def _do_or_hand_back(self, claim: Claim) -> None:
        try:
            with _beating(self._study, claim):
                self._do(claim)
        except Interrupted:
            self._leave.wound_up()
            self._shop.abandon()  # first, else its last unit could meet the next worker's
            self._study.hand_back(claim)
            raise

    def _next(self) -> Claim | None:
        why = self._study.stopped
        if why is not None:
            self._progress.note(f"sweep '{self._study.name}' is stopped: {why}")
            return None
        if dead := self._study.reap(self._watch):
            self._progress.note(f"{dead} points of workers that died wait again")
        return self._study.claim(self._worker)

    def _do(self, claim: Claim) -> None:
        try:
            config = self._configuration(claim)
            trained = self._shop.train(config, self._watching(claim), self._origin)
            self._finish(claim, config, trained)
        except _Pruned:
            self._study.prune(claim)
        except _Asked:
            self._leave.wound_up()
            self._study.hand_back(claim)
        except _NoSense as error:
            self._study.exclude(claim, str(error))
        except _OtherDataError:
            self._study.hand_back(claim)
            raise
        except BusyError:  # another worker trains the same run for another point
            self._study.hand_back(claim, last=True)
            time.sleep(_BUSY_SECONDS)
        except Exception as error:
            cause = cause_of(error)
            self._progress.note(f"point {claim.number} failed: {cause.text}")
            self._study.fail(claim, cause)

    def _configuration(self, claim: Claim) -> Config:
        """The configuration of a point, here.

        What a sampler proposes may be excluded, or make no sense where a space is not a box: it is
        then no failure, and the sampler proposes another.
        """
        try:
            config = self._study.configuration(claim)
            if config is None:
                raise _NoSense("as the plan says")
            config = here(config, self._order)
            fingerprint = self._shop.check(config)
        except RequestError as error:
            if POINT in claim.attributes:
                raise
            raise _NoSense(str(error)) from error
        if self._study.expected.get(data_name(config), fingerprint) != fingerprint:
            raise _OtherDataError(
                f"{config.dataset.name} is not the corpus that sweep '{self._study.name}' was "
                "planned on: audio, labels, speakers or turns differ; mend dataset.root, or give "
                "paths.data=…"
            )
        return config

    def _watching(self, claim: Claim) -> Watching:
        def unit_finished(dev_uas: Mapping[int, float], units: int) -> None:
            bad = self._study.progressed(claim, dev_uas)
            if len(dev_uas) == units:  # there is nothing left to save
                return
            if bad:
                raise _Pruned
            if self._leave.asked:
                raise _Asked

        return unit_finished

    @cached_property
    def _origin(self) -> dict[str, Any]:
        """What the record says of the sweep, and of code that is not that of the plan."""
        planned, now = self._study.spec.code, describe_code()
        if planned.get("code") != now["code"]:
            self._progress.note(
                f"the code has changed since sweep '{self._study.name}' was planned: "
                "the records say so"
            )
        return {
            "sweep": self._study.name,
            "worker": self._worker.name,
            "planned_by": planned,
            "code_changed": planned.get("code") != now["code"],
        }

    def _finish(self, claim: Claim, config: Config, trained: Trained) -> None:
        diverged = trained.dev_ua is None
        dev_ua = self._study.least_dev_ua() if trained.dev_ua is None else trained.dev_ua
        values = {"dev_ua": dev_ua, "seconds": trained.seconds}
        objectives = self._study.spec.objectives
        if "parameters" in objectives:
            values["parameters"] = self._shop.parameters(config)
        result = {"run": trained.run, "seconds": trained.seconds, "diverged": diverged}
        self._study.finish(claim, result, [values[name] for name in objectives])


def here(config: Config, order: WorkOrder) -> Config:
    """Return the configuration of a point with what this machine has of its own.

    Args:
        config: The configuration of a point.
        order: Where the records lie, and how to run (`WorkOrder.overrides`).
    """
    own = compose(order.overrides) if order.overrides else config
    for override in order.overrides:
        *groups, name = override.partition("=")[0].split(".")
        holder, local = reduce(getattr, groups, config), reduce(getattr, groups, own)
        setattr(holder, name, getattr(local, name))
    config.paths.runs = str(order.runs)
    return config


@contextmanager
def _beating(study: Study, claim: Claim) -> Iterator[None]:
    """Let the heart of this worker be heard as long as it is at a point."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            with suppress(Exception):  # the storage is away; the next beat may be heard
                study.beat(claim)

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join(timeout=BEAT_SECONDS)
