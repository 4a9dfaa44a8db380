"""The filter: expressions that exclude points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.frozen import choices_of, freeze, leaves_of, thaw
from sercli.errors import RequestError
from sercli.search.plan.filter import Filter

TEXT = freeze(["activation=arelu", "cell=gru_tf", "trainer=smoke"])


def excluded(expression: str, **values: object) -> bool:
    config = thaw(TEXT, {key.replace("__", "."): value for key, value in values.items()})
    return Filter(expression, leaves_of(TEXT))(config, choices_of(TEXT))


def refusal(expression: str) -> str:
    with pytest.raises(RequestError) as error:
        excluded(expression)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("activation == 'arelu'", True),
        ("activation != 'arelu' and arelu.alpha != 0.01", False),
        ("activation in ('tanh', 'relu')", False),
        ("activation not in ['tanh', 'relu']", True),
        ("cell == 'gru_tf' and cell.init == 'glorot'", True),
        ("trainer == 'smoke'", True),
        ("0 < arelu.alpha <= 0.01", True),
        ("not (arelu.alpha > 0.5 or arelu.beta > 0.5)", False),
        ("arelu.alpha * 100 - 1 == -arelu.beta + 1", True),
        ("optim.clip_norm == null", False),
        ("arelu.learn == true", True),
        ("arelu.learn == False", False),
        ("seeds == [0]", True),
        ("arelu.alpha == 0.01\n  and arelu.beta == 1\n", True),
        ("experiment == 'two  spaces'", False),
    ],
)
def test_a_filter_compares_keys_with_values(expression: str, answer: bool) -> None:
    assert excluded(expression) is answer


def test_a_key_that_a_point_lacks_is_null() -> None:
    tanh = freeze(["activation=tanh"])
    leaves = {*leaves_of(TEXT), *leaves_of(tanh)}
    asked = Filter("activation.alpha == null", leaves)

    assert asked(thaw(tanh, {}), choices_of(tanh)) is True
    assert asked(thaw(TEXT, {}), choices_of(TEXT)) is False


@given(st.floats(0.01, 0.99), st.integers(-9, 9))
def test_a_filter_agrees_with_python(alpha: float, beta: int) -> None:
    found = excluded(
        "arelu.alpha > 0.5 and arelu.beta < 3 or arelu.beta / 2 == -1",
        arelu__alpha=alpha,
        arelu__beta=beta,
    )
    assert found is ((alpha > 0.5 and beta < 3) or beta / 2 == -1)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("activaton == 'tanh'", "unknown key 'activaton'. Did you mean 'activation'?"),
        ("arelu.alhpa > 0", "unknown key 'arelu.alhpa'. Did you mean 'arelu.alpha'?"),
        ("arelu.alpha.real > 0", "unknown key 'arelu.alpha.real'"),
        ("arelu == 1", "unknown key 'arelu'"),
        ("arelu.alpha >", "is not an expression; expected e.g. activation != 'arelu'"),
        ("", "exclude '' is not an expression"),
        ("arelu.alpha = 1", "is not an expression"),
        ("1) or (1", "is not an expression"),
        ("(" * 500 + "1" + ")" * 500, "is not an expression"),
        ("arelu.alpha > 'x'", "cannot be evaluated for arelu.alpha=0.01: '>' not supported"),
        ("1 / (arelu.beta - 1) > 0", "cannot be evaluated for arelu.beta=1.0: "),
        ("'a' * 1000000000 == 'a'", "cannot be evaluated"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_is_refused_in_one_line(
    expression: str, message: str
) -> None:
    assert message in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("__import__('os').getcwd()", "unknown key '__import__'"),
        ("activation.upper() == 'A'", "unknown key 'activation.upper'"),
        ("(1).real", "Attribute is not available"),
        ("'a'.upper == 1", "Attribute is not available"),
        ("(activation).__class__.__mro__[1]", "unknown key 'activation.__class__.__mro__'"),
        ("arelu.alpha()", "Call is not available"),
        ("(1, 2)[0]", "Subscript is not available"),
        ("[x for x in (1, 2)]", "unknown key 'x'"),
        ("[1 for arelu.alpha in (1, 2)]", "ListComp is not available"),
        ("lambda: 1", "Lambda is not available"),
        ("f'{arelu.alpha}'", "JoinedStr is not available"),
        ("9 ** 9 ** 9", "Pow"),
        ("1 << 9", "LShift"),
        ("1 if arelu.learn else 0", "IfExp is not available"),
        ("{1: 2}", "Dict is not available"),
    ],
)
def test_an_expression_can_compute_but_not_call_or_look_up(expression: str, reason: str) -> None:
    assert reason in refusal(expression)
