"""Links, the site and the container refer to existing files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sercli.config.compose import compose

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, *sorted(ROOT.glob("*.md"))]

_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)")


def _text(page: Path) -> str:
    return _CODE.sub("code", _FENCED.sub("", page.read_text(encoding="utf-8")))


def _anchors(page: Path) -> set[str]:
    """The anchors of headings, as GitHub and the site make them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {each.strip().replace(" ", "-") for each in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in _LINK.findall(_text(page)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_the_site_and_the_readme_list_every_page() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = {name for entry in site["nav"] for name in entry.values()}
    assert listed == {page.name for page in DOCS}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name in listed - {"index.md"} if f"docs/{name}" not in readme]


def test_the_settings_of_each_system_are_valid() -> None:
    page = (ROOT / "docs" / "systems.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if re.match(r"\| `\w+` \|", line)]
    assert rows
    for _, name, source, published, *_ in rows:
        shown = _CODE.findall(source + published)
        overrides = [each for code in shown for each in code.strip("`").split() if "=" in each]
        compose([f"model={name.strip(' `')}", *overrides])


def test_the_container_copies_files_that_are_there_and_not_left_out() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]}
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == {line.removeprefix("!") for line in kept if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_the_forms_for_issues_are_valid() -> None:
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        if form.stem != "config":
            assert content["name"]
            assert content["description"]
            ids = [field["id"] for field in content["body"]]
            assert len(ids) == len(set(ids))
