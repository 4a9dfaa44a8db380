from __future__ import annotations

from sercli.errors import Interrupted, RequestError, SercliError, nearest


def test_a_near_name_is_offered() -> None:
    assert nearest("trainer.stpes", ["seeds", "trainer.steps"]) == " Did you mean 'trainer.steps'?"


def test_the_nearest_name_is_found_whatever_its_letters() -> None:
    assert nearest("relu", ["ReLU", "tanh"]) == " Did you mean 'ReLU'?"


def test_where_none_is_near_all_are_listed_sorted() -> None:
    assert nearest("x", ["tanh", "relu"]) == " Known: relu, tanh."


def test_a_long_list_is_cut() -> None:
    text = nearest("x", [f"name{n:02d}" for n in range(99)])
    assert text.endswith("name29, ….")


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert nearest("x", []) == ""


def test_a_senseless_request_and_failed_work_have_their_own_status() -> None:
    assert (SercliError.exit_status, RequestError.exit_status) == (1, 2)
    assert issubclass(RequestError, SercliError)


def test_an_interruption_is_no_failure() -> None:
    assert not issubclass(Interrupted, Exception)
