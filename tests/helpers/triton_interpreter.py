"""What Triton's interpreter lacks: programs that wait for each other, products in bfloat16."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import triton.language as tl
from triton.runtime import interpreter


def let_programs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all programs of later launches in turns.

    The interpreter runs them one after the other, so that one that waits for a later one would
    wait for ever. Here each has a thread, and only the one whose turn it is runs; the turn goes on
    at every atomic operation, the only way in which the kernels wait.
    """
    builder = interpreter.interpreter_builder
    start = interpreter.GridExecutor.__init__
    atomic = type(builder).create_atomic_rmw

    def collecting(self: Any, fn: Any, *others: Any) -> None:
        start(self, fn, *others)
        self.fn = _Together(self.fn)

    def passing(self: Any, *operands: Any) -> Any:
        result = atomic(self, *operands)
        thread = threading.current_thread()
        if isinstance(thread, _Program):
            thread.pass_on()
        return result

    monkeypatch.setattr(interpreter.GridExecutor, "__init__", collecting)
    monkeypatch.setattr(type(builder), "create_atomic_rmw", passing)


def let_bfloat16_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiply numbers in bfloat16, which the interpreter takes for whole numbers."""
    builder = type(interpreter.interpreter_builder)
    dot = builder.create_dot

    def single(handle: Any) -> Any:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        bits = handle.data.astype(np.uint32) << 16
        return interpreter.TensorHandle(bits.view(np.float32), tl.float32)

    def right(self: Any, a: Any, b: Any, *others: Any) -> Any:
        return dot(self, single(a), single(b), *others)

    monkeypatch.setattr(builder, "create_dot", right)


class _Together:
    """A kernel that waits for the call of its last program and then runs all."""

    def __init__(self, fn: Callable[..., object]) -> None:
        self._fn = fn
        self.__signature__ = inspect.signature(fn)
        self._programs: list[_Program] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fn, name)

    def __call__(self, **arguments: object) -> None:
        builder = interpreter.interpreter_builder
        self._programs.append(_Program(self._fn, arguments, builder.grid_idx, self._programs))
        across, down, deep = builder.grid_dim
        if len(self._programs) < across * down * deep:
            return
        for each in self._programs:
            each.start()
        self._programs[0].turn.set()
        for each in self._programs:
            each.join()
        failed = [each.error for each in self._programs if each.error]
        self._programs.clear()
        if failed:
            raise failed[0]


class _Program(threading.Thread):
    def __init__(
        self,
        fn: Callable[..., object],
        arguments: dict[str, object],
        place: tuple[int, int, int],
        programs: list[_Program],
    ) -> None:
        super().__init__(daemon=True)
        self._call = fn, arguments
        self._place, self._programs = place, programs
        self.turn = threading.Event()
        self.ended = False
        self.error: Exception | None = None

    def run(self) -> None:
        self._wait()
        fn, arguments = self._call
        try:
            fn(**arguments)
        except Exception as error:  # raised again by the launch
            self.error = error
        self.ended = True
        self._hand_over()

    def pass_on(self) -> None:
        """Let the next program run until the turn comes round."""
        self._hand_over()
        self._wait()

    def _hand_over(self) -> None:
        at = self._programs.index(self)
        later = [*self._programs[at + 1 :], *self._programs[: at + 1]]
        following = next((each for each in later if not each.ended), None)
        self.turn.clear()
        if following is not None:
            following.turn.set()

    def _wait(self) -> None:
        self.turn.wait()
        interpreter.interpreter_builder.grid_idx = self._place
