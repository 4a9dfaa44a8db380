from __future__ import annotations

from sercli.errors import Interrupted, RequestError, SercliError, nearest


def test_nearest_suggests_a_near_name() -> None:
    assert nearest("trainer.stpes", ["seeds", "trainer.steps"]) == " Did you mean 'trainer.steps'?"


def test_nearest_ignores_case() -> None:
    assert nearest("relu", ["ReLU", "tanh"]) == " Did you mean 'ReLU'?"


def test_nearest_lists_all_names_if_none_is_near() -> None:
    assert nearest("x", ["tanh", "relu"]) == " Known: relu, tanh."


def test_nearest_gives_five_of_a_long_list() -> None:
    text = nearest("x.7", [f"name.{n:02d}" for n in range(99)])
    assert text == " Nearest: name.07, name.17, name.27, name.37, name.47, …"


def test_nearest_of_no_names_is_empty() -> None:
    assert nearest("x", []) == ""


def test_invalid_requests_and_failures_have_different_exit_statuses() -> None:
    assert (SercliError.exit_status, RequestError.exit_status) == (1, 2)
    assert issubclass(RequestError, SercliError)


def test_an_interruption_is_not_an_exception() -> None:
    assert not issubclass(Interrupted, Exception)
