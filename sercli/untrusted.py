"""Read documents and tables from untrusted sources.

YAML and Parquet can be small on disk and enormous in memory: an alias or an index repeats its
target. Both are measured before they are expanded, and a hostile file is refused. No format here
can execute code.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from yaml.constructor import SafeConstructor

from sercli.errors import one_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq

_NODES = 200_000
"""Maximum values of a YAML document, aliases expanded; ours have some hundred (our choice)."""

_DEPTH = 100
"""Maximum nesting of a YAML document parsed by libyaml; ours have ten levels (our choice)."""

_VALUES = 200_000_000
"""Maximum table cells of a Parquet file, 20 bytes or more each in memory (our choice)."""

_BYTES = 4 << 30
"""Maximum bytes of a Parquet table in memory (our choice)."""


class EnormousError(yaml.YAMLError):
    """A document becomes enormous or endless when its aliases are expanded."""


class _Measured(SafeConstructor):
    """Builds plain values, and refuses a document that its aliases make enormous or endless."""

    def construct_document(self, node: yaml.Node) -> Any:
        if _size(node, {}) > _NODES:
            raise EnormousError(f"more than {_NODES} values, most of them by aliases")
        return super().construct_document(node)


class _Loader(_Measured, yaml.SafeLoader):
    """PyYAML's own parser, with clearer errors."""


class _FastLoader(_Measured, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml, three times as fast; it crashes on deep nesting (`_is_shallow`)."""


def parse_yaml(text: str) -> Any:
    """Parse a YAML document of plain values.

    Raises:
        yaml.YAMLError: It is no YAML, has tags of a programming language, is nested too deeply, or
            becomes enormous when its aliases are expanded.
    """
    with suppress(yaml.YAMLError, ValueError):  # PyYAML's own parser says why
        if _is_shallow(text):
            return yaml.load(text, _FastLoader)  # noqa: S506 - a safe loader
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except RecursionError:
        raise EnormousError("nested too deeply") from None
    except ValueError as error:  # such as a date in month 13
        raise yaml.YAMLError(str(error)) from error


def _is_shallow(text: str) -> bool:
    """Return True if collections are nested at most `_DEPTH` deep.

    Reads the events of libyaml, which are flat: only the composition of nodes is recursive.
    """
    depth = 0
    for event in yaml.parse(text, _FastLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH:
            return False
    return True


def read_yaml(path: Path) -> Any:
    """Read a YAML file; see `parse_yaml`.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: It is not UTF-8.
        yaml.YAMLError: It is no YAML or is not safe.
    """
    return parse_yaml(path.read_text(encoding="utf-8"))


def parse_json(text: str | bytes | bytearray) -> Any:
    """Parse a JSON document.

    Raises:
        ValueError: It is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path) -> Any:
    """Read a JSON file; see `parse_json`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no JSON or is not UTF-8.
    """
    return parse_json(path.read_text(encoding="utf-8"))


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet table after measuring how large it becomes in memory.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no Parquet, or exceeds the limits.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_size(path, file)
        return pd.read_parquet(path)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of Arrow, or of what the file says about pandas
        raise ValueError(f"{type(error).__name__}: {one_line(error)}") from error


def _size(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Count the values of a node with its aliases expanded, each node once.

    Raises:
        yaml.YAMLError: A node contains itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise EnormousError("an alias inside its own target")
        return size
    known[id(node)] = None
    children = node.value
    if isinstance(node, yaml.MappingNode):
        children = [each for pair in node.value for each in pair]
    size = 1 + sum(_size(child, known) for child in children)
    known[id(node)] = size
    return size


def _check_size(path: Path, file: pq.ParquetFile) -> None:
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
    values = max(metadata.num_rows, sum(chunk.num_values for chunk in chunks))
    if values > _VALUES:
        raise ValueError(f"{values} values, more than {_VALUES}")
    # A value repeated by its index may be as long as all values of its column together.
    if sum(chunk.total_uncompressed_size for chunk in chunks) > _BYTES or (
        any(chunk.total_uncompressed_size * chunk.num_values > _BYTES for chunk in chunks)
        and _text_bytes(path, file) > _BYTES
    ):
        raise ValueError(f"more than {_BYTES >> 30} GiB when expanded")


def _text_bytes(path: Path, file: pq.ParquetFile) -> int:
    """Return the bytes of all texts, read without repeating them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    kinds = {pa.string(), pa.large_string(), pa.binary(), pa.large_binary()}
    total = 0
    for field in file.schema_arrow:
        if field.type not in kinds:
            continue
        name = field.name
        column = pq.read_table(path, columns=[name], read_dictionary=[name])[name]
        for chunk in column.chunks:
            lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
            total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    return total
