"""The issue forms are such as GitHub takes, name the kinds of destination, and are GitLab's templates, too.

Source: "Syntax for issue forms", "Syntax for GitHub's form schema", "Configuring issue templates for your repository",
GitHub Docs. GitHub shows no form that breaks one of these rules, and says so on the page of the file only. GitLab has
no forms, only Markdown ("Description templates", GitLab Docs).
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from docs import pages

GITLAB = pages.ROOT / ".gitlab" / "issue_templates"
FOLDER = pages.ROOT / ".github" / "ISSUE_TEMPLATE"
CHOOSER = "config.yml"
FORMS = sorted(file.name for file in FOLDER.glob("*.yml") if file.name != CHOOSER)
TOP: dict[str, type] = {
    "name": str,
    "description": str,
    "title": str,
    "labels": list,
    "assignees": list,
    "type": str,
    "body": list,
}
COMMON = {"label", "description"}
ATTRIBUTES = {
    "markdown": {"value"},
    "input": COMMON | {"placeholder", "value"},
    "textarea": COMMON | {"placeholder", "value", "render"},
    "dropdown": COMMON | {"multiple", "options", "default"},
    "checkboxes": COMMON | {"options"},
}
KINDS = pages.DOCS / "reference" / "destinations" / "README.md"
OTHER = "of another package"


def read(name: str) -> dict[str, Any]:
    """Return a file of the folder."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


def fields(name: str) -> dict[str, dict[str, Any]]:
    """Return what a form asks, by id."""
    return {element["id"]: element for element in read(name)["body"] if element["type"] != "markdown"}


def test_the_forms_are_there() -> None:
    assert FORMS == ["bug_report.yml", "feature_request.yml", "new_destination.yml", "private_channel.yml"]


@pytest.mark.parametrize("name", FORMS)
def test_top_level(name: str) -> None:
    form = read(name)
    assert {"name", "description", "body"} <= set(form) <= set(TOP)
    for key, value in form.items():
        assert isinstance(value, TOP[key]), key
        assert value, key
    assert all(isinstance(label, str) for label in form.get("labels", []))
    assert any(element["type"] != "markdown" for element in form["body"])


def test_names_are_unique() -> None:
    names = [read(name)["name"] for name in FORMS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", FORMS)
def test_elements(name: str) -> None:
    """Each element has its type, an id and a label of its own, and only attributes that its type knows."""
    ids, labels = [], []
    for element in read(name)["body"]:
        kind, attributes = element["type"], element["attributes"]
        assert set(attributes) <= ATTRIBUTES[kind], element
        if kind == "markdown":
            assert set(element) == {"type", "attributes"}
            assert isinstance(attributes["value"], str)
            continue
        assert {"type", "id", "attributes"} <= set(element) <= {"type", "id", "attributes", "validations"}
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", element["id"]), element["id"]
        assert all(isinstance(attributes[key], str) for key in attributes.keys() & (COMMON | {"placeholder", "value"}))
        assert attributes["label"], element["id"]
        assert all(isinstance(value, bool) for value in element.get("validations", {}).values())
        assert set(element.get("validations", {})) <= {"required"}
        ids.append(element["id"])
        labels.append(attributes["label"])
    assert len(set(ids)) == len(ids)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", FORMS)
def test_options(name: str) -> None:
    """A dropdown's options are different texts (YAML reads a bare ``yes`` as true); a checkbox has a label."""
    for element in read(name)["body"]:
        attributes = element["attributes"]
        if element["type"] == "dropdown":
            options = attributes["options"]
            assert options
            assert all(isinstance(option, str) for option in options), element["id"]
            assert len(set(options)) == len(options), element["id"]
            assert "None" not in options, "GitHub keeps this word for an empty choice"
            assert attributes.get("default", 0) in range(len(options))
        if element["type"] == "checkboxes":
            assert "validations" not in element, "required stands at each option"
            for option in attributes["options"]:
                assert {"label"} <= set(option) <= {"label", "required"}


def test_the_chooser() -> None:
    """No blank issues, and no link that leads out of the repository."""
    assert read(CHOOSER) == {"blank_issues_enabled": False}


def test_a_bug_report_asks_for_what_is_needed() -> None:
    asked = fields("bug_report.yml")
    needed = {id_ for id_, element in asked.items() if element.get("validations", {}).get("required")}
    assert {"version", "command", "output", "status", "store"} <= needed
    assert "twokey --version" in asked["version"]["attributes"]["description"]
    assert "twokey status" in asked["status"]["attributes"]["description"]


@pytest.mark.parametrize("name", FORMS)
def test_each_form_begins_with_a_warning(name: str) -> None:
    first = read(name)["body"][0]
    assert first["type"] == "markdown"
    assert "Never paste a secret here" in first["attributes"]["value"]


def test_who_asks_for_a_private_channel_can_write_no_detail() -> None:
    """An issue is public, so this form has no field for text; the security policy names it."""
    form = "private_channel.yml"
    assert {element["type"] for element in fields(form).values()} == {"checkboxes"}
    assert f"**{read(form)['name']}**" in (pages.ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_a_bug_report_offers_every_kind_of_destination() -> None:
    """The kinds are those of the reference, in its order; the stores are those that it calls stores."""
    rows = next(iter(pages.tables(KINDS).values()))
    kinds = [(word.removesuffix(":"), "yes" in row) for row in rows for word in pages.words(row[0])]
    asked = fields("bug_report.yml")
    assert asked["destinations"]["attributes"]["options"] == [*(kind for kind, _ in kinds), OTHER]
    assert asked["store"]["attributes"]["options"] == [*(kind for kind, store in kinds if store), OTHER]


def test_pages_that_the_forms_name_are_there() -> None:
    for name in FORMS:
        for path in re.findall(r"`(docs/[\w/.-]+)`", (FOLDER / name).read_text(encoding="utf-8")):
            assert (pages.ROOT / path).is_file(), path


def as_markdown(form: dict[str, Any]) -> str:
    """Return a form as a template of GitLab: a heading for each field, and in a comment what belongs below it."""
    parts = [f"<!-- {form['description']} -->"]
    for element in form["body"]:
        attributes = element["attributes"]
        if element["type"] == "markdown":
            parts.append(attributes["value"].strip())
            continue
        required = element.get("validations", {}).get("required")
        parts.append(f"## {attributes['label']}{' (required)' if required else ''}")
        parts += [f"<!-- {hint} -->" for hint in hints(element)]
        if element["type"] == "checkboxes":
            parts.append("\n".join(f"- [ ] {option['label']}" for option in attributes["options"]))
        elif "render" in attributes:
            parts.append(f"```{attributes['render']}\n\n```")
    return "\n\n".join([*parts, *(f"/label ~{label}" for label in form["labels"])]) + "\n"


def hints(element: dict[str, Any]) -> list[str]:
    """Return what the form says about a field."""
    attributes = element["attributes"]
    options = attributes["options"] if element["type"] == "dropdown" else []
    number = "Any" if attributes.get("multiple") else "One"
    texts = [
        attributes.get("description", "").strip(),
        f"Example: {attributes['placeholder']}" if "placeholder" in attributes else "",
        f"{number} of: {', '.join(options)}" if options else "",
    ]
    return [text for text in texts if text]


@pytest.mark.parametrize("name", FORMS)
def test_gitlab_has_the_same_as_a_template(name: str) -> None:
    form = read(name)
    assert (GITLAB / f"{form['name']}.md").read_text(encoding="utf-8") == as_markdown(form)


def test_gitlab_has_no_other_templates() -> None:
    assert len(list(GITLAB.iterdir())) == len(FORMS)
