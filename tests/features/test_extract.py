from __future__ import annotations

import math
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import crashing
from helpers.shell import Command
from scipy.io import wavfile

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.errors import RequestError, SercliError
from sercli.features.extract import extract
from sercli.features.jobs import Job, run_in_pool
from sercli.features.store import FeatureStore

Corpus = Callable[..., Manifest]
IAAN45 = FeaturesConfig()


def _extract(table: Path, store: Path, workers: int) -> None:
    extract(
        Manifest("generated", pd.read_parquet(table), ("neutral",)), IAAN45, store, workers=workers
    )


def test_every_utterance_gets_frames_and_a_duration(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 5)
    done = extract(manifest, IAAN45, tmp_path / "store")
    assert list(done.keys) == list(manifest.table["utterance"])
    assert done.seconds == dict.fromkeys(done.keys, 0.3)
    assert (done.extracted, done.reused, done.refused) == (5, 0, {})
    assert done.elapsed > 0
    store = FeatureStore(tmp_path / "store")
    assert all(store.get(key).shape == (29, 45) for key in done.keys.values())


def test_a_second_extraction_reuses_everything(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 5)
    first = extract(manifest, IAAN45, tmp_path / "store")
    second = extract(manifest, IAAN45, tmp_path / "store")
    assert (second.extracted, second.reused) == (0, 5)
    assert (second.keys, second.seconds) == (first.keys, first.seconds)


def test_only_what_is_new_is_extracted(tmp_path: Path, corpus: Corpus) -> None:
    extract(corpus(tmp_path / "audio", 5), IAAN45, tmp_path / "store")
    done = extract(corpus(tmp_path / "audio", 8), IAAN45, tmp_path / "store")
    assert (done.extracted, done.reused) == (3, 5)


def test_the_same_audio_under_two_names_is_extracted_once(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 2)
    shutil.copy(tmp_path / "audio" / "u000.wav", tmp_path / "audio" / "u001.wav")
    done = extract(manifest, IAAN45, tmp_path / "store")
    assert done.keys["u000"] == done.keys["u001"]
    assert (done.extracted, done.reused) == (1, 1)


def test_a_corpus_that_has_moved_is_not_extracted_again(tmp_path: Path, corpus: Corpus) -> None:
    extract(corpus(tmp_path / "here", 3), IAAN45, tmp_path / "store")
    done = extract(corpus(tmp_path / "there", 3), IAAN45, tmp_path / "store")
    assert (done.extracted, done.reused) == (0, 3)


def test_audio_that_has_changed_is_extracted_again(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    extract(manifest, IAAN45, tmp_path / "store")
    shutil.copy(tmp_path / "audio" / "u000.wav", tmp_path / "audio" / "u001.wav")
    with (tmp_path / "audio" / "u001.wav").open("ab") as file:
        file.write(b"\0\0")
    assert extract(manifest, IAAN45, tmp_path / "store").extracted == 1


def test_segments_of_one_file_are_utterances_of_their_own(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 2, seconds=1.0)
    whole = str(tmp_path / "audio" / "u000.wav")
    table = manifest.table.assign(audio=whole, audio_start=[0.0, 0.5], audio_end=[0.5, math.nan])
    done = extract(replace(manifest, table=table), IAAN45, tmp_path / "store")
    assert done.extracted == 2
    assert done.seconds == {"u000": 0.5, "u001": 0.5}


def test_bad_audio_is_refused_with_the_reason_and_the_rest_goes_on(
    tmp_path: Path, corpus: Corpus
) -> None:
    manifest = corpus(tmp_path / "audio", 6)
    audio = tmp_path / "audio"
    (audio / "u000.wav").unlink()
    (audio / "u001.wav").write_bytes(b"")
    (audio / "u002.wav").write_text("no audio")
    (audio / "u003.wav").write_bytes((audio / "u003.wav").read_bytes()[:2000])
    wavfile.write(audio / "u004.wav", 16000, np.zeros(4800, np.int16))
    done = extract(manifest, IAAN45, tmp_path / "store")
    assert list(done.keys) == ["u005"]
    assert (done.extracted, done.reused) == (1, 0)
    assert {name: refusal.file for name, refusal in done.refused.items()} == {
        f"u00{each}": str(audio / f"u00{each}.wav") for each in range(5)
    }
    reasons = [done.refused[f"u00{each}"].reason for each in range(5)]
    for reason, word in zip(
        reasons, ("no such", "empty", "not audio", "truncated", "silent"), strict=True
    ):
        assert word in reason


def test_bad_audio_under_two_names_is_refused_under_both(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    for each in ("u000.wav", "u002.wav"):
        (tmp_path / "audio" / each).write_text("no audio")
    done = extract(manifest, IAAN45, tmp_path / "store")
    files = [refusal.file for refusal in done.refused.values()]
    assert files == [str(tmp_path / "audio" / each) for each in ("u000.wav", "u002.wav")]
    assert (done.extracted, done.reused) == (1, 0)


def test_audio_that_has_been_mended_is_extracted(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 2)
    good = (tmp_path / "audio" / "u000.wav").read_bytes()
    (tmp_path / "audio" / "u000.wav").write_bytes(good[:2000])
    assert list(extract(manifest, IAAN45, tmp_path / "store").refused) == ["u000"]
    (tmp_path / "audio" / "u000.wav").write_bytes(good)
    done = extract(manifest, IAAN45, tmp_path / "store")
    assert (done.extracted, done.reused, done.refused) == (1, 1, {})


def test_an_unknown_feature_set_touches_nothing(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(RequestError, match="Did you mean 'iaan45'"):
        extract(corpus(tmp_path / "audio", 1), FeaturesConfig(name="iaan"), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_two_processes_give_what_one_gives(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 130, seconds=0.1)
    (tmp_path / "audio" / "u007.wav").write_bytes(b"")
    (tmp_path / "audio" / "u008.wav").write_text("no audio")
    one = extract(manifest, IAAN45, tmp_path / "one")
    two = extract(manifest, IAAN45, tmp_path / "two", workers=2)
    assert replace(one, elapsed=0) == replace(two, elapsed=0)
    assert one.extracted == 128
    for key in one.keys.values():
        np.testing.assert_array_equal(
            FeatureStore(tmp_path / "one").get(key), FeatureStore(tmp_path / "two").get(key)
        )


def _stored(store: Path) -> int:
    try:
        return len(FeatureStore(store))
    except SercliError:
        return 0


@pytest.mark.parametrize(
    ("blow", "workers", "times"),
    [
        pytest.param(signal.SIGKILL, 1, 1, id="SIGKILL", marks=pytest.mark.exhaustive),
        pytest.param(signal.SIGINT, 2, 1, id="Ctrl-C"),
        pytest.param(signal.SIGKILL, 2, 3, id="SIGKILL of several", marks=pytest.mark.exhaustive),
        pytest.param(signal.SIGINT, 1, 3, id="Ctrl-C of one", marks=pytest.mark.exhaustive),
    ],
)
def test_an_extraction_that_was_stopped_goes_on_and_extracts_nothing_twice(
    tmp_path: Path, corpus: Corpus, blow: signal.Signals, workers: int, times: int
) -> None:
    count = 300
    manifest = corpus(tmp_path / "audio", count, seconds=0.1)
    manifest.table.to_parquet(tmp_path / "table.parquet")
    store = tmp_path / "store"
    run = partial(_extract, tmp_path / "table.parquet", store, workers)
    stopped = [0]
    for _ in range(times):
        process = Command(tmp_path, leads=True, run=run)
        process.stop_when(lambda: _stored(store) > stopped[-1])
        os.killpg(process.pid, blow) if blow is signal.SIGINT else process.send_signal(blow)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=20)
        assert process.returncode != 0
        assert stopped[-1] < _stored(store) < count  # in the middle, and nothing was lost
        stopped.append(_stored(store))
    done = extract(manifest, IAAN45, store)
    assert (done.extracted, done.reused) == (count - stopped[-1], stopped[-1])
    assert _stored(store) == count


def _jobs(*audio: str) -> list[Job]:
    return [Job(str(number), name, math.nan, math.nan) for number, name in enumerate(audio)]


def test_audio_at_which_a_worker_dies_is_refused_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.features.jobs._WORTH_A_PROCESS", 1)
    killed_once = str(tmp_path / "killed")  # from outside, as for want of memory
    for bad, refused in (("crash", {"1": True}), (killed_once, {})):  # one death at a time
        jobs = _jobs("good", bad, *["good"] * 61)
        done = run_in_pool(jobs, crashing.run, workers=2)
        assert {key: "crashes" in reason for key, reason in done.refused.items()} == refused
        assert set(done.extracted) == {job.key for job in jobs} - set(refused)


def test_workers_that_die_again_and_again_end_the_extraction_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sercli.features.jobs._WORTH_A_PROCESS", 1)
    monkeypatch.setattr("sercli.features.jobs._MOST_CRASHES", 1)
    with pytest.raises(SercliError, match=r"want of memory.*fewer --workers"):
        run_in_pool(_jobs(*["crash"] * 16), crashing.run, workers=2)


def test_an_empty_list_of_utterances_that_can_be_used_is_no_error(tmp_path: Path) -> None:
    rows = [{"utterance": "u", "audio": str(tmp_path / "no.wav"), "speaker": "s", "emotion": "n"}]
    done = extract(build_manifest("none", rows, {"n": "n"}), IAAN45, tmp_path / "store")
    assert (done.keys, done.extracted, done.reused) == ({}, 0, 0)
    assert done.refused["u"].reason == "no such file"
