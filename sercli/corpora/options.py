"""The options of a reader: ``dataset.options``, held to the dataclass that the reader declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, get_type_hints

from sercli.config.schema import DatasetConfig
from sercli.errors import RequestError, nearest

Options = TypeVar("Options")

_IN_WORDS = {bool: "true or false", int: "a whole number"}


@dataclass(frozen=True)
class NoOptions:
    """A reader that needs nothing but the root."""


def reader_options(dataset: DatasetConfig, schema: type[Options]) -> Options:
    """Make the reader's options from the configuration.

    Args:
        dataset: The configuration.
        schema: A dataclass; its fields are the options, with their types and defaults.

    Raises:
        RequestError: An option is not one of the reader's, or has the wrong type.
    """
    kinds = get_type_hints(schema)
    for name, value in dataset.options.items():
        if name not in kinds:
            raise RequestError(_unknown(dataset.reader, name, list(kinds)))
        # Exactly the type: to Python, true is a whole number.
        if type(value) is not kinds[name]:
            wanted = _IN_WORDS.get(kinds[name], kinds[name].__name__)
            raise RequestError(f"dataset.options.{name} must be {wanted}, not {value!r}")
    return schema(**dataset.options)


def _unknown(reader: str, name: str, known: list[str]) -> str:
    remedy = nearest(name, known) if known else " This reader takes none."
    return f"unknown option dataset.options.{name} of reader '{reader}'.{remedy}"
