"""What a sweep found: its best point, and the points that no other one beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from sercli.results.sweep_summary import SweepSummary
from sercli.search.study.importance import importance


def with_outcome(summary: SweepSummary, trials: pd.DataFrame) -> SweepSummary:
    """Add to a page what its points say, once nothing waits or runs.

    Args:
        summary: The page of a sweep.
        trials: Its points (`sercli.results.sweep_summary.write_sweep`); where there are costs, with
            a column for each.
    """
    if not summary.complete:
        return summary
    complete = trials[trials["state"] == "complete"].sort_values("number")
    if complete.empty:
        return summary
    return replace(
        summary,
        winner=str(complete.iloc[int(complete["dev_ua"].argmax())]["run"]),
        front=_front(complete, summary.objectives) if len(summary.objectives) > 1 else (),
        importance=importance(trials),
    )


def _front(complete: pd.DataFrame, objectives: Sequence[str]) -> tuple[str, ...]:
    """Runs that no other one beats: as good in every objective, better in one."""
    gains = pd.DataFrame(
        {name: complete[name] if name == "dev_ua" else -complete[name] for name in objectives}
    ).to_numpy()
    beaten = [((gains >= row).all(axis=1) & (gains > row).any(axis=1)).any() for row in gains]
    unbeaten = complete[[not each for each in beaten]]
    return tuple(dict.fromkeys(unbeaten["run"].astype(str)))
